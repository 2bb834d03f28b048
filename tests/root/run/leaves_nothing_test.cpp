// SPDX-License-Identifier: Apache-2.0
// However a run ends, nothing of it stays: no process, mount, namespace, control group, file, BPF program or map.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include <fmt/format.h>

#include "stage.hpp"
#include "tracer.hpp"

namespace bpfwarden::test {
namespace {

// One grant that needs no containment and one that does.
class LeavesNothing : public ::testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        BW_NEED_TOKENS();
        BW_IN_ONE_GUEST("lts");
        if (contained() && Stage::cgroup().empty()) GTEST_SKIP() << "there is no cgroup2 mount";
        (void)grant();  // writes a file
        before_ = traces_now();
    }
    static bool contained() { return GetParam(); }
    static const std::string& grant() { return contained() ? contained_grant() : plain_grant(); }
    void expect_nothing_left() { EXPECT_EQ(left_behind(before_), ""); }

    Traces before_;
};
INSTANTIATE_TEST_SUITE_P(Grants, LeavesNothing, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "contained" : "plain"; });

std::vector<std::string> own_cgroups() {
    const auto now = traces_now();
    return {now.cgroups.begin(), now.cgroups.end()};
}

TEST_P(LeavesNothing, WhenTheCommandEnds) {
    for (const char* status : {"0", "1", "255"}) run(under(grant(), {Stage::witness, "exit", status}));
    expect_nothing_left();
}

TEST_P(LeavesNothing, WhenTheCommandCannotBeRun) {
    EXPECT_TRUE(run(under(grant(), {"/run/stage/none"})).exited(127));
    EXPECT_TRUE(run(under(grant(), {"/run/stage"})).exited(126));
    EXPECT_TRUE(run(under(grant(), {Stage::witness, "exit", "0"}, {"--token-path", "/run/stage/none"})).exited(125));
    expect_nothing_left();
}

TEST_P(LeavesNothing, WhenTheCommandIsKilled) {
    for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
        Running running({.argv = under(grant(), {Stage::witness, "wait"})});
        ASSERT_NE(running.read_line(), "");
        const auto during = traces_now();
        EXPECT_EQ(during.processes.size(), contained() ? 2U : 1U) << "the command, and for a cgroup its watcher";
        EXPECT_EQ(during.cgroups.size(), before_.cgroups.size() + (contained() ? 1 : 0));
        EXPECT_NE(during, before_) << "control: what is there is seen";
        ::kill(running.pid(), signal);
        EXPECT_TRUE(running.wait().died_of(signal));
        expect_nothing_left();
    }
}

TEST_P(LeavesNothing, OfItsProgramsAndMaps) {
    const std::string name = fmt::format("left{}", ::getpid());
    const auto has_map = [&] {
        std::uint32_t id = 0;
        while (::bpf_map_get_next_id(id, &id) == 0) {
            const int fd = ::bpf_map_get_fd_by_id(id);
            bpf_map_info info{};
            std::uint32_t size = sizeof info;
            const bool known = fd >= 0 && ::bpf_map_get_info_by_fd(fd, &info, &size) == 0 && name == info.name;
            if (fd >= 0) ::close(fd);
            if (known) return true;
        }
        return false;
    };
    // The contained grant has no maps and no XDP: that is what the plain one is for.
    if (contained()) return;
    for (const int signal : {0, SIGKILL}) {
        Running program({.argv = under(grant(), {Stage::witness, "hold-program"})});
        Running map({.argv = under(grant(), {Stage::witness, "hold-map", name})});
        ASSERT_EQ(program.read_line(), "loaded");
        ASSERT_EQ(map.read_line(), "made");
        EXPECT_FALSE(traces_now().programs.empty()) << "control: it is seen while it is there";
        EXPECT_TRUE(has_map());
        for (auto* running : {&program, &map}) {
            if (signal != 0) ::kill(running->pid(), signal);
            running->wait();
        }
        EXPECT_TRUE(eventually([&] { return !has_map(); }));
        expect_nothing_left();
    }
}

// A process that outlives the command keeps its cgroup, and no longer.
TEST_P(LeavesNothing, WhenTheLastProcessOfADaemonEnds) {
    const auto started = run(under(grant(), {Stage::witness, "daemon"}));
    ASSERT_TRUE(started.exited(0)) << started.text();
    const pid_t daemon = std::atoi(started.out.c_str());
    ASSERT_GT(daemon, 1);
    if (contained()) {
        const auto cgroups = own_cgroups();
        ASSERT_EQ(cgroups.size(), 1U);
        std::ifstream procs(cgroups[0] + "/cgroup.procs");
        pid_t in_it = 0;
        procs >> in_it;
        EXPECT_EQ(in_it, daemon);
    }
    EXPECT_TRUE(traces_now().processes.contains(daemon));
    ::kill(daemon, SIGKILL);
    expect_nothing_left();
}

// ---- the tool itself is killed -------------------------------------------------------------------------------------

TEST_P(LeavesNothing, WhenTheToolIsKilledAtAnyTime) {
    std::mt19937 random(static_cast<unsigned>(::getpid()));
    // As long as a run takes here, so that some end before it and some after.
    const auto begin = Clock::now();
    run(under(grant(), {Stage::witness, "exit", "0"}));
    const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
    const int kills = emulated() ? 15 : 60;
    for (int i = 0; i < kills; ++i) {
        Running running({.argv = under(grant(), {Stage::witness, "exit", "0"})});
        ::usleep(static_cast<useconds_t>(whole * i / kills + static_cast<long>(random() % 200)));
        ::kill(running.pid(), SIGKILL);
        running.wait();
    }
    expect_nothing_left();
}

// A Ctrl-C goes to all of them at once.
TEST_P(LeavesNothing, WhenItsWholeProcessGroupIsInterrupted) {
    const auto begin = Clock::now();
    run(under(grant(), {Stage::witness, "exit", "0"}));
    const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
    const int kills = emulated() ? 8 : 25;
    for (int i = 0; i < kills; ++i) {
        Running running({.argv = under(grant(), {Stage::witness, "exit", "0"}), .in_child = [] { ::setpgid(0, 0); }});
        ::usleep(static_cast<useconds_t>(whole * i / kills));
        ::kill(-running.pid(), SIGINT);
        running.wait();
    }
    expect_nothing_left();
}

// At each system call of each of its processes, in turn. With `who` the process of that name is killed instead of the
// one that makes the call.
struct Points {
    std::vector<std::string> addresses;
};

Points calls_of_a_run(const std::string& grant) {
    Points points;
    bool begun = false;
    trace(under(grant, {Stage::witness, "exit", "0"}), [&](const Call& call) -> Verdict {
        begun = begun || call.path == grant;
        if (begun) points.addresses.push_back(call.address());
        return {};
    });
    return points;
}

std::string killed_at(const std::string& grant, const std::string& address, const std::string& who) {
    std::map<std::string, pid_t> pids;
    bool reached = false;
    const auto traced = trace(under(grant, {Stage::witness, "exit", "0"}), [&](const Call& call) -> Verdict {
        pids[call.process] = call.pid;
        if (reached || call.address() != address) return {};
        reached = true;
        const auto victim = who.empty() ? call.pid : pids[who];
        return victim == 0 ? Verdict{} : Verdict{.action = Verdict::kill, .victim = victim};
    });
    if (!traced.stray.empty()) return "still there: " + traced.stray;
    if (traced.ended.late) return "it hung";
    return "";
}

TEST_P(LeavesNothing, WhenTheToolIsKilledAtAnySystemCall) {
    BW_NEED_A_TRACER();
    const auto points = calls_of_a_run(grant());
    ASSERT_GT(points.addresses.size(), 100U);
    const std::size_t step = emulated() ? 37 : 3;
    for (std::size_t i = 0; i < points.addresses.size(); i += step) {
        const auto left = killed_at(grant(), points.addresses[i], "0");
        ASSERT_EQ(left, "") << "killed at " << points.addresses[i];
    }
    expect_nothing_left();
}

// Its helpers are killed: then the run fails as a whole, and says so.
TEST_P(LeavesNothing, WhenAHelperIsKilledAtAnySystemCall) {
    BW_NEED_A_TRACER();
    const auto points = calls_of_a_run(grant());
    const std::size_t step = emulated() ? 23 : 2;
    std::size_t at = 0;
    for (const auto& address : points.addresses) {
        const bool helper = !address.starts_with("0 ");
        if (!helper || at++ % step != 0) continue;
        const auto left = killed_at(grant(), address, "");
        ASSERT_EQ(left, "") << "killed at " << address;
        // What a killed watcher cannot remove is removed by the next run's.
        if (address.starts_with("0.2.1 ")) run(under(grant(), {Stage::witness, "exit", "0"}));
        ASSERT_EQ(left_behind(before_), "") << "killed at " << address;
    }
    EXPECT_GT(at, 20U) << "control: there are helpers";
}

// ---- control groups ------------------------------------------------------------------------------------------------

class Cgroups : public ::testing::Test {
  protected:
    void SetUp() override {
        BW_NEED_TOKENS();
        BW_IN_ONE_GUEST("lts");
        if (Stage::cgroup().empty()) GTEST_SKIP() << "there is no cgroup2 mount";
        (void)contained_grant();
        before_ = traces_now();
    }
    // The watcher of the only contained command there is.
    static pid_t watcher_of(pid_t command) {
        for (const int pid : traces_now().processes)
            if (pid != command) return pid;
        return -1;
    }
    Traces before_;
};

TEST_F(Cgroups, AKilledWatchersCgroupGoesWithTheNextRun) {
    {
        Running running({.argv = under(contained_grant(), {Stage::witness, "wait"})});
        ASSERT_NE(running.read_line(), "");
        const pid_t watcher = watcher_of(running.pid());
        ASSERT_GT(watcher, 1);
        ::kill(watcher, SIGKILL);
        ::kill(running.pid(), SIGKILL);
        running.wait();
    }
    ASSERT_EQ(own_cgroups().size(), 1U) << "control: nobody was there to remove it";
    EXPECT_TRUE(run(under(contained_grant(), {Stage::witness, "exit", "0"})).exited(0));
    EXPECT_EQ(left_behind(before_), "");
}

TEST_F(Cgroups, AWatcherEndsWhenSomebodyElseRemovedItsCgroup) {
    Running running({.argv = under(contained_grant(), {Stage::witness, "wait"})});
    ASSERT_NE(running.read_line(), "");
    const pid_t watcher = watcher_of(running.pid());
    const auto cgroups = own_cgroups();
    ASSERT_EQ(cgroups.size(), 1U);
    ::kill(watcher, SIGSTOP);
    ::kill(running.pid(), SIGKILL);
    running.wait();
    ASSERT_TRUE(eventually([&] { return ::rmdir(cgroups[0].c_str()) == 0; }));
    ::kill(watcher, SIGCONT);
    EXPECT_EQ(left_behind(before_), "");
}

// The pid of an earlier command whose daemon is still there comes round again.
TEST_F(Cgroups, NoCommandGetsACgroupThatSomebodyIsIn) {
    int gate[2];
    ASSERT_EQ(::pipe2(gate, O_CLOEXEC), 0);
    Running running({.argv = under(contained_grant(), {Stage::witness, "wait"}), .in_child = [&] {
                         char byte;
                         ::close(gate[1]);
                         (void)!::read(gate[0], &byte, 1);
                     }});
    const std::string taken = fmt::format("{}/bpfwarden-run-{}", Stage::cgroup(), running.pid());
    ASSERT_EQ(::mkdir(taken.c_str(), 0755), 0);
    Running other({.argv = {Stage::witness, "wait"}});
    ASSERT_NE(other.read_line(), "");
    std::ofstream(taken + "/cgroup.procs") << other.pid() << std::flush;
    ::close(gate[1]);
    ASSERT_NE(running.read_line(), "");
    std::ifstream own(fmt::format("/proc/{}/cgroup", running.pid()));
    const std::string text{std::istreambuf_iterator<char>(own), {}};
    EXPECT_NE(text.find(fmt::format("bpfwarden-run-{}-2", running.pid())), std::string::npos) << text;
    for (const auto* one : {&running, &other}) ::kill(one->pid(), SIGKILL);
    running.wait();
    other.wait();
    ::close(gate[0]);
    EXPECT_TRUE(eventually([&] { return ::rmdir(taken.c_str()) == 0; }));
    EXPECT_EQ(left_behind(before_), "");
}

// The watcher holds nothing of the caller's: a reader of the command's output sees its end.
TEST_F(Cgroups, AWatcherHoldsNoPipeOfTheCaller) {
    const auto began = Clock::now();
    const auto ended = run(under(contained_grant(), {Stage::witness, "daemon"}));
    EXPECT_FALSE(ended.late);
    EXPECT_LT(Clock::now() - began, std::chrono::seconds(10)) << "the daemon lives 60 s";
    ::kill(std::atoi(ended.out.c_str()), SIGKILL);
    EXPECT_EQ(left_behind(before_), "");
}

}  // namespace
}  // namespace bpfwarden::test
