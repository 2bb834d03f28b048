// SPDX-License-Identifier: Apache-2.0
// What a command inherits from its caller is what it would have inherited without `run`.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "stage.hpp"

namespace bpfwarden::test {
namespace {

void ignore(int signal) { ::signal(signal, SIG_IGN); }

void block(std::initializer_list<int> signals) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals) ::sigaddset(&set, signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

void limit(__rlimit_resource which, rlim_t soft, rlim_t hard) {
    const rlimit value{soft, hard};
    ::setrlimit(which, &value);
}

struct Heritage {
    const char* name;
    std::function<void()> leave;
};

const Heritage heritages[] = {
    {"nothing special", [] {}},
    {"umask", [] { ::umask(0037); }},
    {"umask of everything", [] { ::umask(0777); }},
    {"limits",
     [] {
         limit(RLIMIT_NOFILE, 40, 50);
         limit(RLIMIT_CORE, 0, 0);
         limit(RLIMIT_STACK, 1 << 20, 8 << 20);
         limit(RLIMIT_MEMLOCK, 0, 0);
         limit(RLIMIT_FSIZE, 0, 0);
     }},
    {"nice", [] { ::setpriority(PRIO_PROCESS, 0, 7); }},
    {"directory", [] { (void)!::chdir("/usr/bin"); }},
    {"session", [] { ::setsid(); }},
    {"process group", [] { ::setpgid(0, 0); }},
    {"ignored signals", [] { ignore(SIGINT), ignore(SIGPIPE), ignore(SIGHUP), ignore(SIGTERM), ignore(SIGTSTP); }},
    {"ignored SIGCHLD", [] { ignore(SIGCHLD); }},
    {"blocked signals", [] { block({SIGTERM, SIGUSR1, SIGCHLD, SIGINT, SIGPIPE}); }},
    {"a pending signal",
     [] {
         block({SIGUSR1});
         ::raise(SIGUSR1);
     }},
    {"no new privileges", [] { ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }},
};

// Of one report: what does not depend on the process.
std::map<std::string, std::string> heritage_in(const Ended& ended, pid_t pid) {
    auto report = read_report(ended.out);
    EXPECT_EQ(report["pid"], std::to_string(pid)) << "the command is the process that was started";
    EXPECT_EQ(report["ppid"], std::to_string(::getpid()));
    EXPECT_EQ(report["children"], "none");
    for (const char* key : {"pgrp", "sid"})
        if (report[key] == std::to_string(pid)) report[key] = "its own";
    for (const char* key : {"pid", "ppid", "Uid", "Gid", "Groups", "token", "CapInh", "CapPrm", "CapEff", "CapBnd",
                            "CapAmb", "ns_user", "ns_mnt", "ns_net", "ns_cgroup"})
        report.erase(key);
    return report;
}

std::map<std::string, std::string> heritage_of(const Words& argv, const std::function<void()>& leave) {
    Running running({.argv = argv, .in_child = leave});
    const pid_t pid = running.pid();
    const auto ended = running.wait();
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    EXPECT_EQ(ended.err, "");
    return heritage_in(ended, pid);
}

TEST(Inherited, IsTheSameAsWithoutRun) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    for (const auto& heritage : sampled(heritages, 2)) {
        SCOPED_TRACE(heritage.name);
        const Words command{Stage::witness, "report"};
        const auto without = heritage_of(command, heritage.leave);
        EXPECT_GT(without.size(), 10U);
        EXPECT_EQ(heritage_of(under(plain_grant(), command), heritage.leave), without);
        EXPECT_EQ(heritage_of(under(contained_grant(), command), heritage.leave), without);
    }
}

TEST(Inherited, FileDescriptorsAreNotUnlessKept) {
    BW_NEED_TOKENS();
    const auto open_some = [] {
        const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        for (const int fd : {5, 9, 30}) ::dup2(null, fd);
    };
    const auto fds_of = [&](const Words& argv) {
        return read_report(run(Start{.argv = argv, .in_child = open_some}).out)["fds"];
    };
    const Words command{Stage::witness, "report"};
    EXPECT_EQ(fds_of(command), "0 1 2 5 9 30") << "control";
    for (const auto& grant : {plain_grant(), contained_grant()}) {
        EXPECT_EQ(fds_of(under(grant, command)), "0 1 2");
        EXPECT_EQ(fds_of(under(grant, command, {"--keep-fd", "9"})), "0 1 2 9");
        EXPECT_EQ(fds_of(under(grant, command, {"--keep-fd", "5", "--keep-fd", "30"})), "0 1 2 5 30");
    }
    const auto refused = run(Start{.argv = under(plain_grant(), command, {"--keep-fd", "6"}), .in_child = open_some});
    EXPECT_TRUE(refused.exited(125)) << "there is no fd 6: " << refused.text();
}

// A directory that only its owner may enter: the caller stands in it, so the command does too.
TEST(Inherited, ADirectoryThatIsNotForEveryone) {
    BW_NEED_TOKENS();
    const auto where = [](const std::string& grant, const char* directory) {
        return read_report(
            run(Start{.argv = under(grant, {Stage::witness, "report"}), .in_child = [=] { (void)!::chdir(directory); }})
                .out)["cwd"];
    };
    ASSERT_EQ(::mkdir("/run/roots", 0700), 0);
    ASSERT_EQ(::mkdir("/run/users", 0700), 0);
    ASSERT_EQ(::chown("/run/users", test_user(), test_user()), 0);
    for (const auto& grant : {plain_grant(), contained_grant()}) {
        EXPECT_EQ(where(grant, "/run/roots"), "/run/roots");
        EXPECT_EQ(where(grant, "/run/users"), "/run/users");
    }
    ::rmdir("/run/roots");
    ::rmdir("/run/users");
}

}  // namespace
}  // namespace bpfwarden::test
