// SPDX-License-Identifier: Apache-2.0
// Each system call that `run` makes fails once, in turn, in each of its processes. Whatever happens, the command never
// starts with anything but exactly what the grant gives; if it does not start, there is a reason; and nothing is left.
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "stage.hpp"
#include "tracer.hpp"

namespace bpfwarden::test {
namespace {

// What may fail in nature, and how. Calls that are not here (brk, mmap, getpid…) are libc's or cannot.
struct Kind {
    const char* name;
    int error;
    bool after = false;  // the kernel does it and reports an error all the same
};
constexpr Kind kinds[] = {
    {"bpf", EPERM},       {"capget", EIO},      {"capset", EPERM},      {"chdir", EACCES},        {"clone", EAGAIN},
    {"close", EIO, true}, {"execve", ENOENT},   {"fchdir", EIO},        {"fcntl", EIO},           {"fsconfig", EINVAL},
    {"fsmount", EPERM},   {"fsopen", EPERM},    {"fstatfs", EIO},       {"getcwd", ENOENT},       {"getdents64", EIO},
    {"ioctl", EPERM},     {"mkdirat", EPERM},   {"mount", EPERM},       {"move_mount", EPERM},    {"newfstatat", EIO},
    {"openat", EIO},      {"openat2", ELOOP},   {"pidfd_open", EMFILE}, {"poll", ENOMEM},         {"pread64", EIO},
    {"prctl", EPERM},     {"prctl", EINVAL},    {"read", EIO},          {"readlink", EIO},        {"recvmsg", EIO},
    {"sendmsg", EPIPE},   {"setgroups", EPERM}, {"setns", EPERM},       {"setresgid", EPERM},     {"setresuid", EAGAIN},
    {"setsid", EPERM},    {"socket", EMFILE},   {"socketpair", EMFILE}, {"statfs", EIO},          {"unlinkat", EIO},
    {"unshare", ENOSPC},  {"wait4", EINTR},     {"write", EIO},         {"close_range", EINVAL},  {"dup2", EBUSY},
    {"recvmsg", EINTR},   {"sendmsg", EINTR},   {"read", EINTR},        {"rt_sigaction", EINVAL},
};
// If one of these fails, the command must not start.
constexpr std::string_view vital[] = {"capset",     "unshare", "mount",   "setgroups",   "setresgid", "setresuid",
                                      "move_mount", "setns",   "fsmount", "fsopen",      "fsconfig",  "prctl",
                                      "socketpair", "clone",   "openat2", "close_range", "pidfd_open"};
bool must_stop(const Call& call) {
    if (std::ranges::find(vital, call.name()) == std::end(vital)) return false;
    // The look whether this kernel has tokens: it goes on when it cannot tell.
    if (call.process == "0" && (call.name() == "fsopen" || call.name() == "fsconfig") && call.occurrence == 1)
        return false;
    // A word that no bpffs takes: refusing it is the right answer.
    if (call.process == "0.1" && call.name() == "fsconfig" && call.occurrence == 1) return false;
    // EINVAL is how the kernel says that there is no such capability; what is left in is found by a second look.
    if (call.name() == "prctl" && call.argument == PR_CAPBSET_READ) return false;
    // The watcher's fds are of no use to the command.
    return !(call.process == "0.2.1" && call.name() == "close_range");
}

// What the command is, as far as it is the same in every run.
std::map<std::string, std::string> rights_in(const std::string& out) {
    auto report = read_report(out);
    for (const char* key : {"pid", "pgrp", "sid", "foreground", "ns_user", "ns_mnt", "ns_net", "ns_cgroup", "ppid"})
        report.erase(key);
    return report;
}

class Faults : public ::testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        BW_NEED_TOKENS();
        BW_NEED_A_TRACER();
        if (GetParam() && Stage::cgroup().empty()) GTEST_SKIP() << "there is no cgroup2 mount";
        grant_ = GetParam() ? contained_grant() : plain_grant();
        before_ = traces_now();
        // Control: under the tracer and with no fault, it runs.
        const auto traced = trace(argv(), [&](const Call& call) -> Verdict {
            begun_ = begun_ || call.path == grant_;
            if (begun_) calls_.push_back(call);
            return {};
        });
        ASSERT_TRUE(traced.ended.exited(0)) << traced.ended.text();
        ASSERT_TRUE(traced.command_started);
        rights_ = rights_in(traced.ended.out);
        ASSERT_EQ(rights_, rights_in(run(Start{.argv = argv()}).out)) << "the same as without the tracer";
        ASSERT_EQ(left_behind(before_), "");
    }

    Words argv() const { return under(grant_, {Stage::witness, "report"}); }

    // Why this outcome is wrong; empty if it is right.
    std::string judge(const Call& call, const Kind& kind, const Traced& traced) {
        if (!traced.stray.empty() || traced.ended.late) return "it hung, with " + traced.stray;
        if (traced.command_started) {
            if (rights_in(traced.ended.out) != rights_) return "the command has other rights: " + traced.ended.text();
            if (!traced.ended.exited(0)) return "the command did not end well: " + traced.ended.text();
            if (must_stop(call)) return "the command was started all the same";
            return "";
        }
        const int expected = call.name() == "execve" ? (kind.error == ENOENT ? 127 : 126) : 125;
        if (!traced.ended.exited(expected)) return "it should have ended with 125: " + traced.ended.text();
        if (!traced.ended.out.empty()) return "words on stdout: " + traced.ended.text();
        if (traced.ended.err.size() < 20 || !traced.ended.err.starts_with("bpfwarden run: "))
            return "it does not say why: " + traced.ended.text();
        return "";
    }

    // A call that is made many times over: the first ones, the last one, and some between.
    static bool worth_it(const Call& call, unsigned last) {
        const unsigned few = emulated() ? 1 : 6;
        const unsigned step = emulated() ? 40 : 7;
        return call.occurrence <= few || call.occurrence == last || call.occurrence % step == 0;
    }

    std::string grant_;
    bool begun_ = false;
    std::vector<Call> calls_;
    std::map<std::string, std::string> rights_;
    Traces before_;
};
INSTANTIATE_TEST_SUITE_P(Grants, Faults, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "contained" : "plain"; });

TEST_P(Faults, EachSystemCallFailsOnce) {
    std::map<std::pair<std::string, long>, unsigned> last;
    for (const auto& call : calls_) last[{call.process, call.number}] = call.occurrence;
    unsigned tried = 0, tolerated = 0;
    std::set<std::string> processes;
    for (const auto& call : calls_) {
        for (const auto& kind : kinds) {
            if (call.name() != kind.name || !worth_it(call, last[{call.process, call.number}])) continue;
            bool reached = false;
            const auto traced = trace(argv(), [&](const Call& now) -> Verdict {
                if (reached || now.process != call.process || now.number != call.number ||
                    now.occurrence != call.occurrence)
                    return {};
                reached = true;
                return {.action = kind.after ? Verdict::fail_after : Verdict::fail, .error = kind.error};
            });
            ++tried;
            tolerated += traced.command_started ? 1 : 0;
            processes.insert(call.process);
            EXPECT_EQ(judge(call, kind, traced), "")
                << call.describe() << " fails with " << ::strerrorname_np(kind.error)
                << (reached ? "" : " (not reached)");
            EXPECT_EQ(left_behind(before_), "") << call.describe();
            if (std::getenv("BPFWARDEN_TRACE_FAULTS") != nullptr)
                std::printf(
                    "%-60s %-8s %s\n", call.describe().c_str(), ::strerrorname_np(kind.error),
                    traced.command_started ? "runs" : traced.ended.err.substr(0, traced.ended.err.find('\n')).c_str());
        }
    }
    EXPECT_GT(tried, emulated() ? 40U : 150U);
    EXPECT_LT(tolerated, tried / 2) << "control: most faults stop it";
    EXPECT_GE(processes.size(), GetParam() ? 5U : 3U) << "the tool, its helper, the one inside, the watcher";
    std::printf("%u faults, %u of them tolerated\n", tried, tolerated);
}

}  // namespace
}  // namespace bpfwarden::test
