// SPDX-License-Identifier: Apache-2.0
// Who calls, and how: every thread and process of the command, and what is to be gained by none.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "supervised.hpp"

namespace bpfwarden::test {

namespace {
std::string calls() { return std::getenv("BPFWARDEN_SOAK") != nullptr ? "1000000" : emulated() ? "1000" : "20000"; }
}  // namespace

TEST(Callers, ManyThreadsAtOnce) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"threads", "16", emulated() ? "5" : "50"}), emulated() ? "80" : "800");
}

TEST(Callers, AThreadWithFileDescriptorsOfItsOwn) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = act(daemon, "filters", {"own-files"});
    // Its map is found where a thread can be named (6.9); before, it is not, and nobody else's is taken for it.
    EXPECT_TRUE(said == "ok ok ok" || (said.starts_with("ok E") && emulated())) << said;
}

TEST(Callers, AProcessWhoseFirstThreadHasEnded) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = act(daemon, "filters", {"leader-gone"});
    EXPECT_TRUE(said == "ok ok ok\n" || (said.starts_with("ok E") && emulated())) << said;
}

TEST(Callers, ForksAndWhatTheyExecute) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"forks"}), "fork: ok ok ok\nok ok ok exit 0, exit 0");
}

TEST(Callers, SetUserIdProgramsGainNothing) {
    Daemon daemon({{"filters", filter_rights}});
    const auto path = daemon.directory() + "/setuid";
    std::filesystem::copy_file(acts_path(daemon), path);
    ASSERT_EQ(::chmod(path.c_str(), 04755), 0);
    struct statvfs mount{};
    ASSERT_EQ(::statvfs(path.c_str(), &mount), 0);
    const auto user = std::to_string(test_user()), ids = user + ":" + user;
    const auto gained = run({.argv = {path, "whoami"}, .environment = {}, .in_child = [] {
                                 if (::setresgid(test_user(), test_user(), test_user()) != 0 ||
                                     ::setresuid(test_user(), test_user(), test_user()) != 0)
                                     ::_exit(120);
                             }});
    if ((mount.f_flag & ST_NOSUID) == 0) {
        EXPECT_TRUE(gained.out.starts_with(ids + " 0:" + user)) << "the control: " << gained.text();
    }
    const auto ended = run(supervised_command(test_user(), "filters", {path, "whoami"}));
    EXPECT_TRUE(ended.out.starts_with(ids + " " + ids)) << ended.text();
    EXPECT_TRUE(ended.out.contains("CapEff:0000000000000000 NoNewPrivs:1")) << ended.text();
}

TEST(Callers, SignalsDoNothingTwice) {
    Daemon daemon({{"filters", filter_rights}});
    for (const char* how : {"restart", "plain"}) {
        const auto said = act(daemon, "filters", {"signals", calls(), how});
        const auto line = said.substr(0, said.find('\n'));
        RecordProperty(how, line);
        // A call that was not taken up yet is broken off by a signal whose handler does not restart calls, before
        // anything was done for it.
        EXPECT_EQ(said.substr(line.size()), std::string("\nsignals, other errors 0, done twice 0") +
                                                (std::string(how) == "restart" ? ", interrupted 0" : ""))
            << said;
    }
}

TEST(Callers, FiltersOfTheirOwn) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"own-filters"}), "ok EXDEV, ok ok ok, listener EBUSY, ok EXDEV");
}

TEST(Callers, NamespacesInside) {
    Daemon daemon({{"filters", filter_rights}, {"tracing", tracing_rights}});
    EXPECT_EQ(act(daemon, "filters", {"namespaces"}), "process 1: ok ok ok\nexit 0");
    // In one already, for its own /sys/kernel/tracing.
    EXPECT_EQ(act(daemon, "tracing", {"namespaces"}), "process 1: ok ok ok\nexit 0");
}

#if defined(__x86_64__)
TEST(Callers, OtherArchitecturesCallNothing) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"architectures"}), "ENOSYS ENOSYS, ENOSYS ENOSYS, no call ENOSYS");
    const auto control = act_of_user(daemon, {"architectures"});
    // A kernel without i386 calls has nothing to be refused.
    if (!control.contains("signal")) {
        EXPECT_TRUE(control.starts_with("ok E")) << control;
    }
}
#endif

TEST(Callers, WhatNobodyMayTraceIsNotServed) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"not-dumpable"}), "ok EPERM ok");
}

}  // namespace bpfwarden::test
