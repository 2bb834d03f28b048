// SPDX-License-Identifier: Apache-2.0
// bpfwarden-guard with real policies: what it writes down, that nothing hangs on it, that no loss goes untold.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "audit/event.hpp"
#include "audit/reader.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;
using audit::Event;
using ::testing::HasSubstr;

const std::string programs = "/bpfwarden/bin/", place = "/tmp/bw-events", pins = "/sys/fs/bpf/bpfwarden/policy";
const std::string log_file = place + "/log/policy.jsonl", run_folder = place + "/run";

// Opens FILE again and again, until so many opens were permitted or so many refused. In a process of its own, whose
// executable puts it into a domain.
struct Counts {
    int opened = 0, refused = 0;
};
Counts open_often(const char* file, int opened, int refused) {
    Counts counts;
    while (counts.opened < opened && counts.refused < refused) {
        const int fd = ::open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            ++counts.refused;
        } else {
            ++counts.opened;
            ::close(fd);
        }
    }
    return counts;
}
__attribute__((constructor)) void be_the_opener() {
    const char* job = std::getenv("BW_OPEN");
    if (!job) return;
    int opened = 0, refused = 0;
    char folder[8192], file[256];
    if (std::sscanf(job, "%d %d %8191s %255s", &opened, &refused, folder, file) != 4 || ::chdir(folder) != 0)
        ::_exit(99);
    const auto counts = open_often(file, opened, refused);
    std::printf("%d %d\n", counts.opened, counts.refused);
    std::fflush(stdout);
    ::_exit(0);
}

struct Ran {
    int status = -1;
    std::string output;
};
pid_t start(const std::vector<std::string>& words, int out, const std::string& job = "") {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::setenv("BPFWARDEN_RUN", run_folder.c_str(), 1);
    if (!job.empty()) ::setenv("BW_OPEN", job.c_str(), 1);
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
}
int ended(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
Ran run(const std::vector<std::string>& words, const std::string& job = "") {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    const pid_t pid = start(words, ends[1], job);
    ::close(ends[1]);
    Ran ran;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        ran.output.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    ran.status = ended(pid);
    return ran;
}
Ran warden(std::vector<std::string> words) {
    words.insert(words.begin(), programs + "bpfwarden");
    return run(words);
}

bool eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

void write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
}

// All of them; what is new is read on.
const std::vector<Event>& log_events() {
    static std::optional<audit::Reader> reader;
    static std::vector<Event> events;
    if (!reader)
        if (auto opened = audit::Reader::open(log_file)) reader = std::move(*opened);
    while (reader) {
        auto item = reader->next();
        if (!item) break;
        if (auto* event = std::get_if<Event>(&*item))
            events.push_back(std::move(*event));
        else
            ADD_FAILURE() << "a hole or a broken line in " << log_file;
    }
    return events;
}
std::vector<Event> of_domain(const std::string& domain, const std::string& verdict) {
    std::vector<Event> found;
    for (const auto& event : log_events())
        if (event.text("domain") == domain && event.text("verdict") == verdict) found.push_back(event);
    return found;
}
std::uint64_t lost_in(const std::string& ring) {
    std::uint64_t lost = 0;
    for (const auto& event : log_events())
        if (event.kind == "gap" && event.text("where") == ring) lost += event.number("lost").value_or(0);
    return lost;
}

class Guard {
  public:
    Guard() {
        const int out = ::open((place + "/guard.out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        pid_ = start({programs + "bpfwarden-guard", "--audit", log_file, "--policies", place + "/policies.d"}, out);
        ::close(out);
    }
    Guard(const Guard&) = delete;
    ~Guard() { end(SIGTERM); }
    int end(int signal) {
        if (pid_ <= 0) return -1;
        ::kill(pid_, signal);
        return ended(std::exchange(pid_, 0));
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = 0;
};

// reader: refused what is secret. a…: told, and refused where that cannot be told. b…: told.
const std::string policy = R"(format = 1
name = "events"
mode = "enforce"
on_loss = "deny"
[[domain]]
name = "reader"
enter = [ { exe = "/tmp/bw-events/reader" } ]
[[domain]]
name = "a"
enter = [ { exe = "/tmp/bw-events/opener-a" } ]
[[rule]]
name = "no-secrets"
domains = ["reader"]
deny = ["read"]
paths = ["/tmp/bw-events/secret/**"]
[[rule]]
name = "deep-reads"
domains = ["a"]
audit = ["read"]
paths = ["/tmp/bw-events/deep/**"]
)";
const std::string forgiving = R"(format = 1
name = "forgiving"
mode = "enforce"
[[domain]]
name = "b"
enter = [ { exe = "/tmp/bw-events/opener-b" } ]
[[rule]]
name = "deep-reads"
domains = ["b"]
audit = ["read"]
paths = ["/tmp/bw-events/deep/**"]
)";

class PolicyEvents : public ::testing::Test {
  protected:
    // Once: loading the programs is what takes time here.
    static void SetUpTestSuite() {
        if (!std::getenv("BPFWARDEN_KERNEL")) GTEST_SKIP() << "runs in guests of tools/lab";
        fs::create_directories(place);
        ASSERT_EQ(::mount("tmpfs", place.c_str(), "tmpfs", 0, "mode=755"), 0);
        for (const char* folder : {"/run", "/log", "/policies.d"}) fs::create_directories(place + folder);
        for (const char* name : {"/reader", "/opener-a", "/opener-b"}) fs::copy_file("/proc/self/exe", place + name);
        write(place + "/secret/x", "secret\n");
        write(place + "/events.toml", policy);
        write(place + "/forgiving.toml", forgiving);
        deep_ = place + "/deep";
        fs::create_directories(deep_);
        for (int i = 0; i < 15; ++i) deep_ += "/" + std::string(250, 'd');
        fs::create_directories(deep_);
        write(deep_ + "/f", "x");
        applied_ = warden({"policy", "apply", place + "/events.toml", place + "/forgiving.toml"});
        ASSERT_EQ(applied_.status, 0) << applied_.output;
    }
    static void TearDownTestSuite() {
        (void)warden({"policy", "remove"});
        ::umount2(place.c_str(), MNT_DETACH);
        std::error_code ignored;
        fs::remove(place, ignored);
    }

    static Counts opens(const std::string& who, int opened, int refused, const std::string& folder,
                        const std::string& file = "f") {
        const auto ran = run({place + "/" + who},
                             std::to_string(opened) + " " + std::to_string(refused) + " " + folder + " " + file);
        Counts counts;
        EXPECT_EQ(std::sscanf(ran.output.c_str(), "%d %d", &counts.opened, &counts.refused), 2) << ran.output;
        return counts;
    }
    static bool reads(const std::string& folder) { return opens("reader", 1, 1, folder, "x").opened == 1; }

    static inline std::string deep_;
    static inline Ran applied_;
};

TEST_F(PolicyEvents, ApplyingSaysThatNobodyReads) {
    EXPECT_THAT(applied_.output, HasSubstr("no bpfwarden-guard runs"));
    EXPECT_THAT(warden({"policy", "status"}).output, HasSubstr("guard       none"));
}

// First: what was told before there was any guard, and what happens when it is killed.
TEST_F(PolicyEvents, WhatWaitedIsReadAndAKillChangesNothing) {
    EXPECT_FALSE(reads(place + "/secret")) << "refused with no guard at all";
    {
        Guard guard;
        ASSERT_TRUE(eventually([] { return of_domain("reader", "denied").size() == 1; }))
            << warden({"policy", "status"}).output;
        EXPECT_THAT(warden({"policy", "status"}).output,
                    HasSubstr("process " + std::to_string(guard.pid()) + " reads events"));
        EXPECT_EQ(Guard().end(0), 1) << "there is one guard";
        const auto event = of_domain("reader", "denied").front();
        EXPECT_EQ(event.kind, "policy");
        EXPECT_EQ(event.text("operation"), "read");
        EXPECT_EQ(event.text("hook"), "file_open");
        EXPECT_EQ(event.text("rule"), "no-secrets");
        EXPECT_EQ(event.text("policy"), "events");
        EXPECT_THAT(event.text("line"), HasSubstr("events.toml:13:"));
        EXPECT_EQ(event.text("actor.exe"), place + "/reader");
        EXPECT_EQ(event.text("actor.cwd"), place + "/secret");
        EXPECT_EQ(event.text("actor.root"), "/");
        EXPECT_EQ(event.text("actor.comm"), "reader");
        EXPECT_EQ(event.text("actor.uid"), "0");
        EXPECT_TRUE(event.text("actor.cgroup").starts_with('/')) << event.text("actor.cgroup");
        EXPECT_THAT(event.text("actor.parents"), HasSubstr("(" + std::to_string(::getpid()) + ")"));
        EXPECT_EQ(event.text("target.path"), place + "/secret/x");
        EXPECT_EQ(event.text("target.type"), "file");
        EXPECT_EQ(event.text("flags"), "O_RDONLY|O_CLOEXEC");
        struct stat file{};
        ASSERT_EQ(::stat((place + "/secret/x").c_str(), &file), 0);
        EXPECT_EQ(event.number("target.inode"), file.st_ino);
        EXPECT_LT(audit::now_ns() - event.time_ns, 60'000'000'000U) << "the time is real";
        EXPECT_EQ(guard.end(SIGKILL), 128 + SIGKILL);
    }
    EXPECT_THAT(warden({"policy", "status"}).output, HasSubstr("guard       none"));
    EXPECT_FALSE(reads(place + "/secret")) << "in force without it";
    Guard next;
    ASSERT_TRUE(eventually([] { return of_domain("reader", "denied").size() == 2; }));
    EXPECT_FALSE(reads(place + "/secret"));
    ASSERT_TRUE(eventually([] { return of_domain("reader", "denied").size() >= 3; }));
    std::set<std::string> numbers;
    for (const auto& event : of_domain("reader", "denied"))
        numbers.insert(event.text("cpu") + "/" + event.text("number"));
    EXPECT_EQ(numbers.size(), 3U);
    EXPECT_EQ(of_domain("reader", "entered").size(), 3U);
    EXPECT_EQ(lost_in("denials") + lost_in("others"), 0U);
    const auto shown = warden({"audit", "tail", "--file", log_file, "--verdict", "denied", "--lines", "1"});
    EXPECT_THAT(shown.output, HasSubstr("denied         reader           -      " + place + "/reader("));
    EXPECT_THAT(shown.output, HasSubstr(") → read " + place + "/secret/x: no-secrets (" + place + "/events.toml:13:"));
}

TEST_F(PolicyEvents, LaterMountsGetTheirNames) {
    const auto mounted = [](const std::string& where) {
        fs::create_directories(where);
        EXPECT_EQ(::mount("tmpfs", where.c_str(), "tmpfs", 0, ""), 0);
        write(where + "/x", "x");
    };
    mounted(place + "/nameless");
    EXPECT_FALSE(reads(place + "/nameless"))
        << "the control: without a guard it has no name, and a rule could be about it";
    Guard guard;
    EXPECT_TRUE(eventually([] { return reads(place + "/nameless"); })) << "at its start";
    mounted(place + "/later");
    EXPECT_TRUE(eventually([] { return reads(place + "/later"); })) << "at the change";
    for (const char* name : {"/nameless", "/later"}) ::umount((place + name).c_str());
}

// Each event or its loss, whatever happens to whoever reads.
TEST_F(PolicyEvents, EveryEventIsThereOrCounted) {
    constexpr int each = 300;
    const auto before = of_domain("b", "allowed").size();
    const auto job = std::to_string(each) + " 1 " + deep_ + " f";
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    std::vector<pid_t> openers;
    for (int i = 0; i < 2; ++i) openers.push_back(start({place + "/opener-b"}, null, job));
    ::close(null);
    for (int i = 0; i < 3; ++i) {
        Guard guard;
        const auto now = of_domain("b", "allowed").size();
        EXPECT_TRUE(eventually([&] { return of_domain("b", "allowed").size() > now || now >= before + 2 * each; }));
        guard.end(SIGKILL);
    }
    for (const auto pid : openers) EXPECT_EQ(ended(pid), 0);
    Guard guard;
    const auto unique = [] {
        std::set<std::string> numbers;
        for (const auto& event : of_domain("b", "allowed"))
            numbers.insert(event.text("cpu") + "/" + event.text("number"));
        return numbers.size();
    };
    EXPECT_TRUE(eventually([&] { return unique() + lost_in("others") == before + 2 * each; })) << unique();
    EXPECT_EQ(lost_in("others"), 0U);
}

// on_loss = "deny": who cannot be watched may not. The control is the other policy, which only counts.
TEST_F(PolicyEvents, WithAFullRingNothingThatIsToldIsPermitted) {
    std::uint64_t events_before = 0, lost_before = 0;
    const auto all_events = [] {
        std::uint64_t count = 0;
        for (const auto& event : log_events())
            count +=
                event.kind == "policy" && (event.text("verdict") == "allowed" || event.text("verdict") == "entered");
        return count;
    };
    {  // nothing waits
        Guard guard;
        (void)reads(deep_);
        EXPECT_TRUE(eventually([] { return !of_domain("reader", "entered").empty(); }));
        guard.end(SIGTERM);
        events_before = all_events();
        lost_before = lost_in("others");
    }
    const auto deny = opens("opener-a", 1 << 20, 20, deep_);
    EXPECT_GT(deny.opened, 1000) << "as long as there is room";
    EXPECT_EQ(deny.refused, 20) << "and then not";
    EXPECT_EQ(opens("opener-a", 1, 1, place).refused, 1) << "no f there: ENOENT";
    const auto count = opens("opener-b", 30, 1, deep_);
    EXPECT_EQ(count.opened, 30) << "the control";
    EXPECT_EQ(count.refused, 0);
    // Told: each open in deep/, and each of three ways into a domain.
    const auto told = static_cast<std::uint64_t>(deny.opened + deny.refused + count.opened + 3);
    Guard guard;
    EXPECT_TRUE(eventually([&] { return all_events() - events_before + lost_in("others") - lost_before == told; }))
        << all_events() - events_before << " events, " << lost_in("others") - lost_before << " lost, of " << told;
    EXPECT_GE(lost_in("others") - lost_before, 50U);
    EXPECT_EQ(opens("opener-a", 1, 1, deep_).opened, 1) << "there is room again";
}

}  // namespace
}  // namespace bpfwarden::test
