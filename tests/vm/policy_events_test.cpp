// SPDX-License-Identifier: Apache-2.0
// bpfwarden-guard with real policies: what it writes down, that nothing hangs on it, that no loss goes untold.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
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
using ::testing::HasSubstr, ::testing::Not;

const std::string programs = "/bpfwarden/bin/", place = "/tmp/bw-events", pins = "/sys/fs/bpf/bpfwarden/policy";
const std::string log_file = place + "/log/policy.jsonl", run_folder = place + "/run";

// Makes a directory and removes it again, until that was permitted or refused so often. In a process of its own, whose
// executable puts it into a domain. (An operation that few programs are needed for: they take seconds to verify here.)
struct Counts {
    int made = 0, refused = 0;
};
Counts make_often(const char* name, int made, int refused) {
    Counts counts;
    while (counts.made < made && counts.refused < refused) {
        if (::mkdir(name, 0755) != 0) {
            ++counts.refused;
        } else {
            ++counts.made;
            ::rmdir(name);
        }
    }
    return counts;
}
__attribute__((constructor)) void be_the_maker() {
    const char* job = std::getenv("BW_MAKE");
    if (!job) return;
    int made = 0, refused = 0;
    char folder[8192], name[256];
    if (std::sscanf(job, "%d %d %8191s %255s", &made, &refused, folder, name) != 4 || ::chdir(folder) != 0) ::_exit(99);
    const auto counts = make_often(name, made, refused);
    std::printf("%d %d\n", counts.made, counts.refused);
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
    if (!job.empty()) ::setenv("BW_MAKE", job.c_str(), 1);
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

// How often a guard was killed, and may have left half a line: the kernel writes page by page. What the line told is
// written again by the next guard, so no event is missing for it.
int kills = 0;

// All of them; what is new is read on.
const std::vector<Event>& log_events() {
    static std::optional<audit::Reader> reader;
    static std::vector<Event> events;
    static int cut_lines = 0;
    if (!reader)
        if (auto opened = audit::Reader::open(log_file)) reader = std::move(*opened);
    while (reader) {
        auto item = reader->next();
        if (!item) break;
        if (auto* event = std::get_if<Event>(&*item))
            events.push_back(std::move(*event));
        else if (const auto* line = std::get_if<audit::BadLine>(&*item))
            EXPECT_LE(++cut_lines, kills) << line->file << ", byte " << line->offset << ": " << line->why;
        else if (const auto& hole = std::get<audit::Hole>(*item); true)
            ADD_FAILURE() << "numbers " << hole.first << " to " << hole.last << " are missing in " << hole.file;
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
        kills += signal == SIGKILL;
        return ended(std::exchange(pid_, 0));
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = 0;
};

// maker: refused what is secret. a…: told, and refused where that cannot be told. b…: told.
const std::string policy = R"(format = 1
name = "events"
mode = "enforce"
on_loss = "deny"
[[domain]]
name = "maker"
enter = [ { exe = "/tmp/bw-events/maker" } ]
[[domain]]
name = "a"
enter = [ { exe = "/tmp/bw-events/maker-a" } ]
[[rule]]
name = "no-secrets"
domains = ["maker"]
deny = ["mkdir"]
paths = ["/tmp/bw-events/secret/**"]
[[rule]]
name = "deep"
domains = ["a"]
audit = ["mkdir"]
paths = ["/tmp/bw-events/deep/**"]
)";
const std::string forgiving = R"(format = 1
name = "forgiving"
mode = "enforce"
[[domain]]
name = "b"
enter = [ { exe = "/tmp/bw-events/maker-b" } ]
[[rule]]
name = "deep"
domains = ["b"]
audit = ["mkdir"]
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
        for (const char* name : {"/maker", "/maker-a", "/maker-b"}) fs::copy_file("/proc/self/exe", place + name);
        fs::create_directories(place + "/secret");
        write(place + "/events.toml", policy);
        write(place + "/forgiving.toml", forgiving);
        deep_ = place + "/deep";
        fs::create_directories(deep_);
        for (int i = 0; i < 15; ++i) deep_ += "/" + std::string(250, 'd');
        fs::create_directories(deep_);
        applied_ = warden({"policy", "apply", place + "/events.toml", place + "/forgiving.toml"});
        ASSERT_EQ(applied_.status, 0) << applied_.output;
    }
    static void TearDownTestSuite() {
        (void)warden({"policy", "remove"});
        ::umount2(place.c_str(), MNT_DETACH);
        std::error_code ignored;
        fs::remove(place, ignored);
    }

    static Counts makes(const std::string& who, int made, int refused, const std::string& folder) {
        const auto ran =
            run({place + "/" + who}, std::to_string(made) + " " + std::to_string(refused) + " " + folder + " new");
        Counts counts;
        EXPECT_EQ(std::sscanf(ran.output.c_str(), "%d %d", &counts.made, &counts.refused), 2) << ran.output;
        return counts;
    }
    static bool may_make(const std::string& folder) { return makes("maker", 1, 1, folder).made == 1; }

    static inline std::string deep_;
    static inline Ran applied_;
};

TEST_F(PolicyEvents, ApplyingSaysThatNobodyReads) {
    EXPECT_THAT(applied_.output, HasSubstr("no bpfwarden-guard runs"));
    EXPECT_THAT(warden({"policy", "status"}).output, HasSubstr("guard       none"));
}

// First: what was told before there was any guard, and what happens when it is killed.
TEST_F(PolicyEvents, WhatWaitedIsReadAndAKillChangesNothing) {
    EXPECT_FALSE(may_make(place + "/secret")) << "refused with no guard at all";
    {
        Guard guard;
        ASSERT_TRUE(eventually([] { return of_domain("maker", "denied").size() == 1; }))
            << warden({"policy", "status"}).output;
        EXPECT_THAT(warden({"policy", "status"}).output,
                    HasSubstr("process " + std::to_string(guard.pid()) + " reads events"));
        EXPECT_THAT(warden({"policy", "status"}).output, HasSubstr("1 no-secrets"));
        EXPECT_THAT(warden({"policy", "status"}).output, Not(HasSubstr("default")))
            << "to enter a domain is no decision";
        EXPECT_EQ(Guard().end(0), 1) << "there is one guard";
        const auto event = of_domain("maker", "denied").front();
        EXPECT_EQ(event.kind, "policy");
        EXPECT_EQ(event.text("operation"), "mkdir");
        EXPECT_EQ(event.text("hook"), "path_mkdir");
        EXPECT_EQ(event.text("rule"), "no-secrets");
        EXPECT_EQ(event.text("policy"), "events");
        EXPECT_THAT(event.text("line"), HasSubstr("events.toml:14:"));
        EXPECT_EQ(event.text("actor.exe"), place + "/maker");
        EXPECT_EQ(event.text("actor.cwd"), place + "/secret");
        EXPECT_EQ(event.text("actor.root"), "/");
        EXPECT_EQ(event.text("actor.comm"), "maker");
        EXPECT_EQ(event.text("actor.uid"), "0");
        EXPECT_TRUE(event.text("actor.cgroup").starts_with('/')) << event.text("actor.cgroup");
        EXPECT_THAT(event.text("actor.parents"), HasSubstr("(" + std::to_string(::getpid()) + ")"));
        EXPECT_EQ(event.text("target.path"), place + "/secret/new");
        EXPECT_EQ(event.text("mode"), "0755");
        EXPECT_LT(audit::now_ns() - event.time_ns, 60'000'000'000U) << "the time is real";
        EXPECT_EQ(guard.end(SIGKILL), 128 + SIGKILL);
    }
    EXPECT_THAT(warden({"policy", "status"}).output, HasSubstr("guard       none"));
    EXPECT_FALSE(may_make(place + "/secret")) << "in force without it";
    Guard next;
    ASSERT_TRUE(eventually([] { return of_domain("maker", "denied").size() == 2; }));
    EXPECT_FALSE(may_make(place + "/secret"));
    ASSERT_TRUE(eventually([] { return of_domain("maker", "denied").size() >= 3; }));
    std::set<std::string> numbers;
    for (const auto& event : of_domain("maker", "denied"))
        numbers.insert(event.text("cpu") + "/" + event.text("number"));
    EXPECT_EQ(numbers.size(), 3U);
    EXPECT_EQ(of_domain("maker", "entered").size(), 3U);
    EXPECT_EQ(lost_in("denials") + lost_in("others"), 0U);
    const auto shown = warden({"audit", "tail", "--file", log_file, "--verdict", "denied", "--lines", "1"});
    EXPECT_THAT(shown.output, HasSubstr("denied         maker            -      " + place + "/maker("));
    EXPECT_THAT(shown.output,
                HasSubstr(") → mkdir " + place + "/secret/new: no-secrets (" + place + "/events.toml:14:"));
}

TEST_F(PolicyEvents, AGuardThatStartsDuringAChangeWaitsForItsEnd) {
    const auto said = [] {
        std::stringstream text;
        text << std::ifstream(place + "/guard.out").rdbuf();
        return text.str();
    };
    fs::remove(place + "/guard.out");
    const int change = ::open(pins.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_EQ(::flock(change, LOCK_EX), 0) << "as apply and status do";
    Guard guard;
    for (int i = 0; i < 50 && said().empty(); ++i) ::usleep(20'000);
    EXPECT_EQ(said(), "") << "nobody knows yet what is in force";
    ::close(change);
    EXPECT_TRUE(eventually([&] { return said().find("generation 1 is in force\n") != std::string::npos; })) << said();
}

TEST_F(PolicyEvents, LaterMountsGetTheirNames) {
    const auto mounted = [](const std::string& where) {
        fs::create_directories(where);
        EXPECT_EQ(::mount("tmpfs", where.c_str(), "tmpfs", 0, ""), 0);
    };
    mounted(place + "/nameless");
    EXPECT_FALSE(may_make(place + "/nameless"))
        << "the control: without a guard it has no name, and a rule could be about it";
    Guard guard;
    EXPECT_TRUE(eventually([] { return may_make(place + "/nameless"); })) << "at its start";
    mounted(place + "/later");
    EXPECT_TRUE(eventually([] { return may_make(place + "/later"); })) << "at the change";
    for (const char* name : {"/nameless", "/later"}) ::umount((place + name).c_str());
}

// Each event or its loss, whatever happens to whoever reads.
TEST_F(PolicyEvents, EveryEventIsThereOrCounted) {
    constexpr int each = 300;
    const auto before = of_domain("b", "allowed").size();
    const auto job = std::to_string(each) + " 1 " + deep_ + " new";  // and a number: two of one name would meet
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    std::vector<pid_t> makers;
    for (int i = 0; i < 2; ++i) makers.push_back(start({place + "/maker-b"}, null, job + std::to_string(i)));
    ::close(null);
    for (int i = 0; i < 3; ++i) {
        Guard guard;
        const auto now = of_domain("b", "allowed").size();
        EXPECT_TRUE(eventually([&] { return of_domain("b", "allowed").size() > now || now >= before + 2 * each; }));
        guard.end(SIGKILL);
    }
    for (const auto pid : makers) EXPECT_EQ(ended(pid), 0);
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
        const auto entered = of_domain("maker", "entered").size();
        (void)may_make(deep_);
        EXPECT_TRUE(eventually([&] { return of_domain("maker", "entered").size() > entered; }));
        guard.end(SIGTERM);
        events_before = all_events();
        lost_before = lost_in("others");
    }
    const auto deny = makes("maker-a", 1 << 20, 20, deep_);
    EXPECT_GT(deny.made, 1000) << "as long as there is room";
    EXPECT_EQ(deny.refused, 20) << "and then not";
    EXPECT_EQ(makes("maker-a", 1, 1, place).made, 1) << "what is not told is permitted";
    const auto count = makes("maker-b", 30, 1, deep_);
    EXPECT_EQ(count.made, 30) << "the control";
    EXPECT_EQ(count.refused, 0);
    // Told: each directory in deep/, and each of three ways into a domain.
    const auto told = static_cast<std::uint64_t>(deny.made + deny.refused + count.made + 3);
    Guard guard;
    EXPECT_TRUE(eventually([&] { return all_events() - events_before + lost_in("others") - lost_before == told; }))
        << all_events() - events_before << " events, " << lost_in("others") - lost_before << " lost, of " << told;
    EXPECT_GE(lost_in("others") - lost_before, 50U);
    EXPECT_EQ(makes("maker-a", 1, 1, deep_).made, 1) << "there is room again";
}

}  // namespace
}  // namespace bpfwarden::test
