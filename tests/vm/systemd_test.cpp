// SPDX-License-Identifier: Apache-2.0
// The units as they are installed, under a real systemd: what starts the service, what its sessions outlive, what ends
// them. systemd is the first process of a pid namespace, with a cgroup namespace and a /run of its own.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "root/broker/daemon.hpp"
#include "root/broker/holder.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

const std::string cgroup = "/sys/fs/cgroup/bpfwarden-systemd";
const std::string units = "/run/systemd/system/", grants = "/etc/bpfwarden/grants.d/", programs = "/bpfwarden/bin/";

std::string read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}
void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

struct Ran {
    int status = -1;
    std::string output;
};
Ran run(const Words& words) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(ends[1], 1);
        ::dup2(ends[1], 2);
        std::vector<char*> argv;
        for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    Ran ran;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        ran.output.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
}
Ran systemctl(Words words) {
    words.insert(words.begin(), {"systemctl", "--no-pager"});
    return run(words);
}
std::string property(const std::string& name, const std::string& unit = "bpfwardend.service") {
    auto value = systemctl({"show", "--value", "-p", name, unit}).output;
    while (value.ends_with('\n')) value.pop_back();
    return value;
}
bool is_active() { return property("ActiveState") == "active"; }

std::string listed() { return run({programs + "bpfwarden", "--json", "session", "list"}).output; }
std::size_t count(const std::string& text, const std::string& what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
    return n;
}
std::string audit() {
    (void)listed();
    return read("/var/log/bpfwarden/audit.jsonl");
}

// Boots it once, for all cases of this program.
class Systemd : public ::testing::Test {
  protected:
    // Booting it takes long, and it does the same on each kernel.
    static bool runs_here() {
        return std::getenv("BPFWARDEN_SOAK") || std::string_view(std::getenv("BPFWARDEN_KERNEL")) == "floor";
    }
    void SetUp() override { BW_IN_ONE_GUEST("floor"); }
    static void SetUpTestSuite() {
        if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
        if (!runs_here()) return;
        ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        for (const char* place : {"/run", "/var/log"})
            ASSERT_EQ(::mount("tmpfs", place, "tmpfs", 0, "mode=755"), 0) << place;
        fs::copy("/etc", "/run/etc", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        ASSERT_EQ(::mount("/run/etc", "/etc", nullptr, MS_BIND, nullptr), 0);
        fs::create_directories(units);
        fs::create_directories(grants);
        // Made at the installation, by systemd-sysusers and at the first boot.
        write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        std::ofstream("/etc/group", std::ios::app) << "bpfwarden:x:990:\n";
        // Nothing of a system but what the units name.
        for (const char* target : {"sysinit", "basic", "sockets", "shutdown", "multi-user", "emergency", "nothing"})
            write(units + target + ".target",
                  "[Unit]\nDescription=" + std::string(target) + "\nDefaultDependencies=no\n");
        write(units + "bpfwardend.service", unit_file("bpfwardend"));
        ASSERT_TRUE(read(units + "bpfwardend.service").contains("--keep-sessions"));
        auto guard = unit_file("bpfwarden-guard");
        const auto watchdog = guard.find("WatchdogSec=30s");
        ASSERT_NE(watchdog, guard.npos);
        write(units + "bpfwarden-guard.service", guard.replace(watchdog, 15, "WatchdogSec=5s"));
        fs::copy_file("/bpfwarden/packaging/systemd/bpfwardend.socket", units + "bpfwardend.socket");
        auto grant = tracing_grant;
        for (std::size_t at; (at = grant.find("TEST_USER")) != grant.npos;)
            grant.replace(at, 9, std::to_string(test_user()));
        write(grants + "tracing.toml", grant);
        boot();
    }

    static std::string unit_file(const std::string& name) {
        auto text = read("/bpfwarden/packaging/systemd/" + name + ".service.in");
        for (std::size_t at; (at = text.find("@BPFWARDEN_SBINDIR@")) != text.npos;)
            text.replace(at, 19, "/bpfwarden/bin");
        return text;
    }

    static void TearDownTestSuite() {
        if (init_ <= 0) return;
        ::kill(init_, SIGKILL);
        ::waitpid(init_, nullptr, 0);
        std::vector<fs::path> all{cgroup};
        for (const auto& entry : fs::recursive_directory_iterator(cgroup))
            if (entry.is_directory()) all.push_back(entry.path());
        for (auto at = all.rbegin(); at != all.rend(); ++at) fs::remove(*at);
    }

    static void boot() {
        fs::create_directories(cgroup);
        fs::create_directories(cgroup + "/user");
        // Children of this process are in the new namespace, and the process itself is not.
        ASSERT_EQ(::unshare(CLONE_NEWPID), 0);
        init_ = ::fork();
        if (init_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            write(cgroup + "/cgroup.procs", "0");
            if (::unshare(CLONE_NEWCGROUP | CLONE_NEWNS) != 0 || ::mount("proc", "/proc", "proc", 0, nullptr) != 0 ||
                ::umount2("/sys/fs/cgroup", MNT_DETACH) != 0 ||
                ::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, nullptr) != 0)
                ::_exit(126);
            ::setenv("container", "lab", 1);
            ::execl("/usr/lib/systemd/systemd", "systemd", "--system", "--unit=nothing.target", "--log-target=null",
                    "--show-status=no", "--default-standard-output=null", nullptr);
            ::_exit(127);
        }
        EXPECT_TRUE(eventually([] { return systemctl({"is-system-running"}).output.starts_with("running"); }))
            << systemctl({"is-system-running"}).output;
    }

    void TearDown() override {
        if (init_ <= 0) return;
        if (HasFailure()) std::cerr << systemctl({"status", "bpfwardend.service"}).output << audit();
        (void)systemctl({"stop", "bpfwardend.service", "bpfwardend.socket"});
        (void)systemctl({"reset-failed"});
    }

    // Until another main process serves.
    static bool is_back(const std::string& main) {
        return eventually([&] { return is_active() && property("MainPID") != main; });
    }

    static inline pid_t init_ = 0;
};

// Somebody in a cgroup that may hold the worker, where it is charged; or in one that systemd does not see: then the
// worker stays in the unit's.
class Holder {
  public:
    explicit Holder(bool charged)
        : actor_(test_user(), [](Actor& actor) {
              (void)actor.listen();  // until it is where it belongs
              obey(actor);
          }) {
        if (charged) write(cgroup + "/user/cgroup.procs", std::to_string(actor_.pid()));
        actor_.tell();
        EXPECT_EQ(actor_.hear(), "open");
    }
    std::string ask(const std::string& word) { return test::ask(actor_, word); }

  private:
    Actor actor_;
};

}  // namespace

// In each, everything that was open before goes on; at the end, it is stopped.
TEST_F(Systemd, SessionsOutliveRestarts) {
    // The watchdog, without waiting for half a minute.
    fs::create_directories(units + "bpfwardend.service.d");
    write(units + "bpfwardend.service.d/test.conf", "[Service]\nWatchdogSec=2s\n");
    ASSERT_EQ(systemctl({"daemon-reload"}).status, 0);
    ASSERT_EQ(systemctl({"start", "bpfwardend"}).status, 0);
    Holder charged(true), inside(false);
    ASSERT_EQ(charged.ask("count"), "ok") << "it is ready when systemctl says so";
    ASSERT_EQ(inside.ask("map"), "ok");
    ASSERT_EQ(charged.ask("derive"), "ok");
    ASSERT_EQ(charged.ask("child map"), "ok");
    EXPECT_EQ(count(audit(), "\"charged\":true"), 2U);
    EXPECT_EQ(count(audit(), "\"charged\":false"), 1U);
    // One grant; eight of each session in use, and of the derived one seven.
    EXPECT_EQ(property("NFileDescriptorStore"), "24");
    const auto before = listed();
    EXPECT_EQ(count(before, "\"id\""), 3U) << before;

    const auto all_go_on = [&](const char* after) {
        EXPECT_EQ(listed(), before) << after;
        EXPECT_EQ(charged.ask("seen"), "all") << after;
        EXPECT_EQ(property("NFileDescriptorStore"), "24") << after;
        EXPECT_EQ(systemctl({"reset-failed"}).status, 0);
    };
    auto main = property("MainPID");
    ASSERT_EQ(systemctl({"restart", "bpfwardend"}).status, 0);
    ASSERT_NE(property("MainPID"), main);
    all_go_on("restart");
    main = property("MainPID");
    ASSERT_EQ(systemctl({"kill", "--kill-who=main", "-s", "KILL", "bpfwardend"}).status, 0);
    ASSERT_TRUE(is_back(main));
    all_go_on("SIGKILL");
    // A daemon that hangs is ended by the watchdog, and by nothing else.
    main = property("MainPID");
    ASSERT_EQ(systemctl({"kill", "--kill-who=main", "-s", "STOP", "bpfwardend"}).status, 0);
    ASSERT_TRUE(is_back(main));
    all_go_on("the watchdog");
    // A grant that is not valid fails the reload, and that is all.
    write(grants + "bad.toml", "format = 1\n[allow\n");
    const auto reload = systemctl({"reload", "bpfwardend"});
    fs::remove(grants + "bad.toml");
    EXPECT_NE(reload.status, 0) << reload.output;
    EXPECT_TRUE(is_active());
    EXPECT_EQ(listed(), before);
    EXPECT_EQ(systemctl({"reload", "bpfwardend"}).status, 0);
    // Limits hold over what was opened before and after: three maps of four.
    Holder other(true);
    EXPECT_EQ(other.ask("map"), "ok");
    EXPECT_EQ(other.ask("map"), "EDQUOT limits.maps");
    EXPECT_EQ(inside.ask("map"), "EDQUOT limits.maps");

    ASSERT_EQ(systemctl({"stop", "bpfwardend"}).status, 0);
    EXPECT_EQ(charged.ask("stopped"), "stopped");
    for (auto* one : {&charged, &inside, &other}) EXPECT_EQ(one->ask("map"), "ECONNRESET");
    EXPECT_EQ(charged.ask("child map"), "ECONNRESET");
    EXPECT_TRUE(eventually([] { return property("NFileDescriptorStore") == "0"; }));
    EXPECT_EQ(count(read("/var/log/bpfwarden/audit.jsonl"), "session_lost"), 0U);
}

// Every process of the unit: a worker in its opener's cgroup is none of them.
TEST_F(Systemd, KillingTheUnitLeavesChargedWorkers) {
    ASSERT_EQ(systemctl({"start", "bpfwardend"}).status, 0);
    Holder charged(true), inside(false);
    ASSERT_EQ(charged.ask("count"), "ok");
    ASSERT_EQ(inside.ask("map"), "ok");
    const auto main = property("MainPID");
    ASSERT_EQ(systemctl({"kill", "--kill-who=all", "-s", "KILL", "bpfwardend"}).status, 0);
    ASSERT_TRUE(is_back(main));
    EXPECT_EQ(charged.ask("seen"), "all");
    EXPECT_EQ(inside.ask("map"), "ECONNRESET");
    EXPECT_TRUE(eventually([] { return count(listed(), "\"id\"") == 1; })) << listed();
    EXPECT_EQ(charged.ask("map"), "ok");
}

TEST_F(Systemd, TheControlSocketStartsTheService) {
    ASSERT_EQ(systemctl({"start", "bpfwardend.socket"}).status, 0);
    EXPECT_EQ(property("ActiveState"), "inactive");
    const auto ran = run({programs + "bpfwarden", "session", "list"});
    EXPECT_EQ(ran.status, 0) << ran.output;
    EXPECT_EQ(property("ActiveState"), "active");
}

// Its end changes nothing that is in force, however it comes; and the next one does not apply anything again.
TEST_F(Systemd, TheGuardPutsPoliciesInForceAndIsNotNeededForThem) {
    const std::string guard = "bpfwarden-guard.service", log = "/var/log/bpfwarden/policy.jsonl";
    const auto in_force = [] {
        return run({programs + "bpfwarden", "--json", "policy", "status"}).output.contains("\"generation\":1,");
    };
    const auto active = [&] { return property("ActiveState", guard) == "active"; };
    const auto is_another = [&](const std::string& main) {
        return eventually([&] { return active() && property("MainPID", guard) != main; });
    };
    fs::create_directories("/etc/bpfwarden/policies.d");
    write("/etc/bpfwarden/policies.d/made.toml", R"(format = 1
name = "made"
mode = "enforce"
[[domain]]
name = "made"
enter = [ { exe = "/run/made" } ]
[[rule]]
deny = ["mkdir"]
paths = ["/run/never/*"]
)");
    const auto started = systemctl({"start", guard});
    ASSERT_EQ(started.status, 0) << started.output << systemctl({"status", guard}).output << read(log);
    EXPECT_TRUE(in_force()) << "when it is started, it is in force: " << read(log);
    EXPECT_EQ(count(read(log), "\"policy_in_force\""), 1U) << read(log);
    EXPECT_EQ(count(read(log), "\"policy_refused\""), 0U) << read(log);
    EXPECT_TRUE(run({programs + "bpfwarden", "policy", "status"}).output.contains("made.toml"));

    auto main = property("MainPID", guard);
    ASSERT_EQ(systemctl({"kill", "--kill-who=main", "-s", "KILL", guard}).status, 0);
    EXPECT_TRUE(is_another(main)) << systemctl({"status", guard}).output;
    EXPECT_TRUE(in_force());

    main = property("MainPID", guard);
    ASSERT_EQ(systemctl({"kill", "--kill-who=main", "-s", "STOP", guard}).status, 0);
    EXPECT_TRUE(is_another(main)) << "the watchdog: " << systemctl({"status", guard}).output;
    EXPECT_TRUE(in_force());

    fs::rename(log, log + ".elsewhere");
    EXPECT_EQ(systemctl({"reload", guard}).status, 0);
    EXPECT_TRUE(eventually([&] { return fs::exists(log); }));
    EXPECT_TRUE(active());

    EXPECT_EQ(systemctl({"restart", guard}).status, 0);
    EXPECT_TRUE(in_force());
    EXPECT_EQ(systemctl({"stop", guard}).status, 0);
    EXPECT_TRUE(in_force()) << "and without it";
    EXPECT_EQ(run({programs + "bpfwarden", "policy", "remove"}).status, 0);
    EXPECT_FALSE(in_force()) << "the control";
    fs::remove("/etc/bpfwarden/policies.d/made.toml");
}

// bpfwarden-guard(8), WHERE NOTHING MAY RUN WITHOUT.
TEST_F(Systemd, PoliciesThatCannotBePutInForceStopTheStartWhereThatIsWanted) {
    const std::string guard = "bpfwarden-guard.service", policies = "/etc/bpfwarden/policies.d/";
    fs::create_directories(policies);
    write(policies + "bad.toml", "format = 1\n[[domain\n");
    ASSERT_EQ(systemctl({"daemon-reload"}).status, 0);
    EXPECT_EQ(systemctl({"start", guard}).status, 0) << systemctl({"status", guard}).output;
    EXPECT_EQ(property("ActiveState", guard), "active") << "the control: it goes on";
    EXPECT_NE(property("ActiveState", "emergency.target"), "active");
    EXPECT_TRUE(read("/var/log/bpfwarden/policy.jsonl").contains("policy_refused"));
    ASSERT_EQ(systemctl({"stop", guard}).status, 0);

    fs::create_directories(units + guard + ".d");
    write(units + guard + ".d/emergency.conf",
          "[Unit]\nOnFailure=emergency.target\nOnFailureJobMode=replace-irreversibly\n[Service]\nExecStart=\n"
          "ExecStart=/bpfwarden/bin/bpfwarden-guard --journal --on-boot-failure emergency\n");
    ASSERT_EQ(systemctl({"daemon-reload"}).status, 0);
    EXPECT_NE(systemctl({"start", guard}).status, 0);
    EXPECT_TRUE(eventually([] { return property("ActiveState", "emergency.target") == "active"; }));
    EXPECT_EQ(property("ActiveState", guard), "failed");
    EXPECT_EQ(property("ExecMainStatus", guard), "8");
    EXPECT_EQ(property("NRestarts", guard), "0");
    ASSERT_EQ(systemctl({"stop", "emergency.target"}).status, 0);

    // Nothing to put in force is no failure.
    fs::remove(policies + "bad.toml");
    EXPECT_EQ(systemctl({"start", guard}).status, 0) << systemctl({"status", guard}).output;
    EXPECT_NE(property("ActiveState", "emergency.target"), "active");
    (void)systemctl({"stop", guard});
    fs::remove_all(units + guard + ".d");
}

}  // namespace bpfwarden::test
