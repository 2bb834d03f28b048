// SPDX-License-Identifier: Apache-2.0
// The end of everything that takes part, at any moment: nobody waits for ever, and nothing goes on.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <list>

#include "supervised.hpp"

namespace bpfwarden::test {

namespace {

pid_t pid_in(const std::string& line) { return line.starts_with("ready ") ? std::atoi(line.c_str() + 6) : 0; }
bool is_gone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

// Starts what goes on until something fails, does `end` at a moment that is another one each time, and gives what
// failed.
std::string interrupted(const Daemon& daemon, useconds_t moment, const std::function<void()>& end) {
    Running command(supervised(daemon, "filters", {"until-failure"}));
    if (pid_in(command.read_line()) == 0) return "not ready: " + command.wait().text();
    ::usleep(moment);
    end();
    const auto ended = command.wait();
    return ended.late || !ended.exited(0) ? ended.text() : ended.out;
}

bool is_an_end(const std::string& said) { return said == "map ENOSYS" || said == "program ENOSYS"; }

}  // namespace

TEST(Ends, OfTheWorkerAtAnyMoment) {
    Daemon daemon({{"filters", filter_rights}});
    for (unsigned i = 0; i < (emulated() ? 5U : 20U); ++i) {
        const auto said = interrupted(daemon, i * 397, [&] { ::kill(daemon.worker(), SIGKILL); });
        EXPECT_TRUE(is_an_end(said)) << said;
    }
}

TEST(Ends, OfTheSession) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = interrupted(
        daemon, 1000, [&] { EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0); });
    EXPECT_TRUE(is_an_end(said)) << said;
}

TEST(Ends, OfTheDaemon) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = interrupted(daemon, 1000, [&] { daemon.kill(); });
    EXPECT_TRUE(is_an_end(said)) << said;
    daemon.start();
    EXPECT_EQ(act(daemon, "filters", {"everything"}), "ok ok ok");
}

TEST(Ends, WhatIsAttachedStopsWithTheSession) {
    Daemon daemon({{"tracing", tracing_rights}});
    Running command(supervised(daemon, "tracing", {"attached"}));
    EXPECT_EQ(command.read_line(), "ok ok 10");
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    command.write("go\n");
    const auto ended = command.wait();
    EXPECT_EQ(ended.out, "0, ENOSYS ENOSYS ENOSYS ENOSYS, map ok ENOTTY") << ended.text();
}

// It waits inside of the kernel, and can be ended there; meanwhile others have their answers. Only root may have such
// memory (vm.unprivileged_userfaultfd): a plain user's call of this kind fails.
TEST(Ends, ACallerWhoseMemoryNeverAnswersHoldsBackItselfAlone) {
    Daemon daemon({{"filters", filter_rights}});
    Running command(supervised_as(0, daemon, daemon.directory() + "/root/etc/bpfwarden/grants.d/filters.toml",
                                  {"never-answers"}, {"--user", "root"}));
    const auto first = command.read_line();
    if (first != "asks") GTEST_SKIP() << "this kernel has no userfaultfd: " << first;
    const pid_t worker = daemon.worker();
    EXPECT_TRUE(eventually([&] {
        std::string where;
        std::ifstream("/proc/" + std::to_string(worker) + "/wchan") >> where;
        return where.contains("userfault");
    })) << "the control: it waits";
    EXPECT_EQ(act(daemon, "filters", {"everything"}), "ok ok ok");
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    EXPECT_TRUE(eventually([&] { return is_gone(worker); }, std::chrono::seconds(2)));
    EXPECT_EQ(command.wait().out, "ENOSYS");
}

// Neither by root, nor, in the moment in which it answers and is its user's, by that.
TEST(Ends, AStoppedWorkerHoldsNothingBack) {
    Daemon daemon({{"tracing", tracing_rights}});
    Running command(supervised(daemon, "tracing", {"attached"}));
    EXPECT_EQ(command.read_line(), "ok ok 10");
    const pid_t worker = daemon.worker();
    EXPECT_EQ(as_user(test_user(), [&] { return std::string(::kill(worker, SIGSTOP) == 0 ? "ok" : "no"); }), "no");
    ASSERT_EQ(::kill(worker, SIGSTOP), 0);
    const auto state = [&] {
        std::ifstream file("/proc/" + std::to_string(worker) + "/stat");
        std::string number, name, letter;
        file >> number >> name >> letter;
        return letter;
    };
    EXPECT_TRUE(eventually([&] { return state() == "T"; })) << "the control: it does nothing any more";
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    EXPECT_TRUE(eventually([&] { return is_gone(worker) || state() == "Z"; }, std::chrono::seconds(2)));
    command.write("go\n");
    const auto ended = command.wait();
    EXPECT_EQ(ended.out, "0, ENOSYS ENOSYS ENOSYS ENOSYS, map ok ENOTTY") << ended.text();
}

TEST(Ends, TheWorkerIsNotItsUsersToChange) {
    Daemon daemon({{"filters", filter_rights}});
    Running command(supervised(daemon, "filters", {"hears-signals"}));
    ASSERT_GT(pid_in(command.read_line()), 0);
    const pid_t worker = daemon.worker();
    EXPECT_EQ(as_user(test_user(),
                      [&] {
                          const rlimit limit{0, 0};
                          std::string text =
                              ::prlimit(worker, RLIMIT_NOFILE, &limit, nullptr) == 0 ? "ok" : ::strerrorname_np(errno);
                          text += ::ptrace(PTRACE_SEIZE, worker, nullptr, nullptr) == 0
                                      ? " ok"
                                      : std::string(" ") + ::strerrorname_np(errno);
                          const auto memory = "/proc/" + std::to_string(worker) + "/mem";
                          return text + (::open(memory.c_str(), O_RDONLY | O_CLOEXEC) >= 0 ? " ok" : " not read");
                      }),
              "EPERM EPERM not read");
    ::kill(command.pid(), SIGTERM);
    EXPECT_EQ(command.wait().out, "TERM");
}

TEST(Ends, OfRunIsTheCommands) {
    Daemon daemon({{"filters", filter_rights}});
    Running command(supervised(daemon, "filters", {"hears-signals"}));
    const pid_t pid = pid_in(command.read_line());
    ASSERT_GT(pid, 0);
    ASSERT_NE(pid, command.pid());
    EXPECT_FALSE(is_gone(pid));
    ::kill(command.pid(), SIGKILL);
    EXPECT_TRUE(command.wait().died_of(SIGKILL));
    EXPECT_TRUE(eventually([&] { return is_gone(pid); }));
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST(Ends, SignalsAreForTheCommand) {
    Daemon daemon({{"filters", filter_rights}});
    Running command(supervised(daemon, "filters", {"hears-signals"}));
    ASSERT_GT(pid_in(command.read_line()), 0);
    for (const int number : {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH}) {
        ::kill(command.pid(), number);
        EXPECT_EQ(command.read_line(), ::sigabbrev_np(number));
    }
    // A terminal's come to both: the command decides.
    ::kill(command.pid(), SIGINT);
    ::kill(command.pid(), SIGQUIT);
    ::kill(command.pid(), SIGTERM);
    const auto ended = command.wait();
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    EXPECT_EQ(ended.out, "TERM");
}

TEST(Ends, StatusIsTheCommands) {
    Daemon daemon({{"filters", filter_rights}});
    const auto status = [&](const Words& words) { return run(supervised(daemon, "filters", words)).status; };
    for (const int number : {0, 1, 42, 125, 255})
        EXPECT_EQ(WEXITSTATUS(status({"exit", std::to_string(number)})), number);
    for (const int number : {SIGTERM, SIGKILL, SIGSEGV, SIGINT, SIGUSR1})
        EXPECT_EQ(WEXITSTATUS(status({"die-of", std::to_string(number)})), 128 + number);
}

TEST(Ends, FailuresOfItsOwn) {
    Daemon daemon({{"filters", filter_rights}});
    const auto failure = [&](uid_t uid, const std::string& grant, const Words& command, const Words& options = {}) {
        return run(supervised_command(uid, grant, command, options));
    };
    const uid_t user = test_user();
    const auto expect = [](const Ended& ended, int status, const std::string& text) {
        EXPECT_TRUE(ended.exited(status)) << ended.text();
        EXPECT_TRUE(ended.err.starts_with("bpfwarden run: ")) << ended.text();
        EXPECT_TRUE(ended.err.contains(text)) << ended.text();
        EXPECT_EQ(ended.out, "");
    };
    expect(failure(user, "nothing", {"/bin/true"}), 125, "nothing");
    expect(failure(other_user(), "filters", {"/bin/true"}), 125, "filters");
    expect(failure(user, "filters", {"/bin/true"}, {"--user", "0"}), 125, "--user is for root");
    expect(failure(user, "filters", {"/bin/true"}, {"--dry-run"}), 125, "--dry-run");
    expect(failure(user, "filters", {"/bin/true"}, {"--keep-fd", "999"}), 125, "999");
    expect(failure(user, "filters", {"/etc/passwd"}), 126, "/etc/passwd");
    expect(failure(user, "filters", {"/tmp"}), 126, "/tmp");
    expect(failure(user, "filters", {"/no/such/program"}), 127, "/no/such/program");
    // Where nothing is in the way of looking for it.
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", "/usr/bin:/bin", 1);
    expect(failure(user, "filters", {"no-such-program"}), 127, "no-such-program");
    ::setenv("PATH", path.c_str(), 1);
    daemon.kill();
    expect(failure(user, "filters", {"/bin/true"}), 125, "filters");
    daemon.start();
    // Nothing of all this is left.
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

// The kernel has one listener for a process: the inner one says so, and the outer one goes on.
TEST(Ends, OneInAnother) {
    Daemon daemon({{"filters", filter_rights}});
    const auto inner = supervised(daemon, "filters", {"everything"}).argv;
    const std::string number = inner.front().substr(std::string("/proc/self/fd/").size());
    auto start = supervised_command(test_user(), "filters", inner, {"--keep-fd", number});
    start.in_child = [tool = std::stoi(number), before = start.in_child] {
        ::fcntl(tool, F_SETFD, 0);
        before();
    };
    const auto ended = run(start);
    EXPECT_TRUE(ended.exited(125)) << ended.text();
    EXPECT_TRUE(ended.err.contains("there is a filter with a listener already")) << ended.text();
    EXPECT_EQ(ended.out, "");
}

TEST(Ends, ManyInOneSession) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"processes", emulated() ? "16" : "64"}), emulated() ? "16" : "64");
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST(Ends, ManySessions) {
    const int count = emulated() ? 8 : 64;
    Daemon daemon({{"filters", filter_rights}});
    std::list<Running> all;
    for (int i = 0; i < count; ++i) all.emplace_back(supervised(daemon, "filters", {"hears-signals"}));
    for (auto& one : all) EXPECT_GT(pid_in(one.read_line()), 0);
    EXPECT_EQ(daemon.sessions().size(), static_cast<std::size_t>(count));
    for (auto& one : all) ::kill(one.pid(), SIGTERM);
    for (auto& one : all) EXPECT_EQ(one.wait().out, "TERM");
    all.clear();
    for (int i = 0; i < count; ++i) all.emplace_back(supervised(daemon, "filters", {"threads", "2", "5"}));
    for (auto& one : all) EXPECT_EQ(one.wait().out, "10");
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST(Ends, RefusalsAreToldOnceEach) {
    Daemon daemon({{"filters", filter_rights}});
    const auto ended = run(supervised(daemon, "filters", {"refused"}));
    EXPECT_EQ(ended.out, "ok") << ended.text();
    const auto lines = std::ranges::count(ended.err, '\n');
    EXPECT_EQ(lines, 6) << ended.err;
    EXPECT_TRUE(ended.err.contains("bpfwarden run: refused 3 times: map_create hash\n")) << ended.err;
    EXPECT_TRUE(ended.err.contains("bpfwarden run: refused: map_create lpm_trie\n")) << ended.err;
    EXPECT_TRUE(ended.err.contains("filters.toml:5:1: allow.map_types: ")) << ended.err;
    EXPECT_TRUE(ended.err.contains("filters.toml:6:1: allow.helpers: ")) << ended.err;
    // And nothing is told where nothing was.
    EXPECT_EQ(run(supervised(daemon, "filters", {"everything"})).err, "");
}

}  // namespace bpfwarden::test
