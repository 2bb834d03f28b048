// SPDX-License-Identifier: Apache-2.0
// Each probe against other evidence of the same machine: direct calls, kernel symbols, type information. No version is
// compared, so that the same expectations hold on every kernel.
#include "kernel/probe.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "kernel/btf.hpp"
#include "kernel/capability.hpp"
#include "kernel/host.hpp"
#include "kernel/host_view.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {
namespace {

// Printed with each failure: what the probe saw is most of the explanation.
std::string say(const Finding& finding) {
    return std::string(word(finding.state)) + ": " + finding.detail + " [" + finding.how + "]";
}

const std::set<std::string>& kernel_symbols() {
    static const std::set<std::string> symbols = [] {
        std::set<std::string> all;
        std::ifstream file("/proc/kallsyms");
        std::string address, type, name, rest;
        while (file >> address >> type >> name) {
            all.insert(name);
            std::getline(file, rest);
        }
        return all;
    }();
    return symbols;
}

// The same as try_token(), with system calls only, and the context fetched with pidfd_getfd() instead of sent.
// 0: a queue map was made through a token that delegates it; else an errno.
int token_by_direct_calls() {
    int to_child[2], from_child[2];
    EXPECT_EQ(::pipe2(to_child, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(from_child, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(to_child[1]);
        ::close(from_child[0]);
        int context = -1, go = 0;
        const auto fail = [&] { ::_exit(errno == 0 ? 125 : errno); };
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) fail();
        const auto put = [&](const char* path, const char* text) {
            const int fd = ::open(path, O_WRONLY);
            if (fd < 0 || ::write(fd, text, std::strlen(text)) < 0) fail();
            ::close(fd);
        };
        put("/proc/self/uid_map", "0 0 1");
        context = static_cast<int>(::syscall(SYS_fsopen, "bpf", 1));
        if (context < 0) fail();
        if (::write(from_child[1], &context, sizeof context) < 0 || ::read(to_child[0], &go, sizeof go) != sizeof go)
            fail();
        const int mount = static_cast<int>(::syscall(SYS_fsmount, context, 1, 0));
        if (mount < 0) fail();
        const int root = ::openat(mount, ".", O_RDONLY | O_DIRECTORY);
        union bpf_attr attr;
        std::memset(&attr, 0, sizeof attr);
        reinterpret_cast<std::uint32_t*>(&attr)[1] = static_cast<std::uint32_t>(root);
        const int token = static_cast<int>(::syscall(SYS_bpf, 36 /* BPF_TOKEN_CREATE */, &attr, 8));
        if (token < 0) fail();
        bpf_map_create_opts options{};
        options.sz = sizeof options;
        options.map_flags = 1U << 16;  // BPF_F_TOKEN_FD
        options.token_fd = static_cast<std::uint32_t>(token);
        const int map = ::bpf_map_create(BPF_MAP_TYPE_QUEUE, nullptr, 0, 4, 1, &options);
        ::_exit(map < 0 ? -map : 0);
    }
    ::close(to_child[0]);
    ::close(from_child[1]);
    int number = -1;
    if (::read(from_child[0], &number, sizeof number) == sizeof number) {
        const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
        const int context = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0));
        const bool good =
            ::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "delegate_cmds", "map_create", 0) == 0 &&
            ::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "delegate_maps", "queue", 0) == 0 &&
            ::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
        const int go = 1;
        if (good) {
            EXPECT_EQ(::write(to_child[1], &go, sizeof go), ssize_t{sizeof go});
        }
        ::close(context);
        ::close(pidfd);
    }
    ::close(to_child[1]);
    ::close(from_child[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define NEEDS_ROOT() \
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << ::geteuid()

TEST(ProbeToken, AgreesWithDirectCalls) {
    NEEDS_ROOT();
    const int direct = token_by_direct_calls();
    EXPECT_EQ(probe_token().present(), direct == 0) << say(probe_token()) << "; directly " << direct;
    const auto trial = try_token();
    EXPECT_EQ(trial.works.present(), direct == 0) << say(trial.works) << "; directly " << direct;
    EXPECT_NE(trial.works.state, Presence::unknown) << say(trial.works);
}

TEST(ProbeToken, InfoAgreesWithTheKernelsTypes) {
    NEEDS_ROOT();
    const auto btf = Btf::of_vmlinux();
    ASSERT_TRUE(btf);
    const auto info = try_token().info;
    EXPECT_EQ(info.present(), btf->has_member("bpf_token_info", "allowed_cmds")) << say(info);
}

TEST(ProbeBpf, IsThereForAnyBpfTest) { EXPECT_TRUE(probe_bpf().present()) << say(probe_bpf()); }

// A process that may not call bpf() at all: the answer must not be "absent", which would be about the kernel.
TEST(ProbeBpf, UnderAFilterIsUnknown) {
    auto child = Child::fork([]() -> int {
        sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog program{4, code};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::syscall(SYS_seccomp, 1, 0, &program) != 0) return 9;
        return (probe_bpf().state == Presence::unknown ? 0 : 1) + (probe_token().state == Presence::unknown ? 0 : 2);
    });
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait().value_or(-1), 0);
}

TEST(ProbeMounts, AgreeWithKernelSymbols) {
    EXPECT_TRUE(probe_mount_api().present());
    EXPECT_EQ(probe_openat2().present(), kernel_symbols().contains("do_sys_openat2"));
}

TEST(ProbeUserNamespaces, AgreesWithUnshare) {
    NEEDS_ROOT();
    const auto unshare_works = [](uid_t uid) {
        const pid_t child = ::fork();
        if (child == 0) {
            if (uid != 0 && ::setresuid(uid, uid, uid) != 0) ::_exit(2);
            ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return status == 0;
    };
    EXPECT_EQ(probe_user_namespaces().present(), unshare_works(0)) << say(probe_user_namespaces());
    // AppArmor may let it be made and useless; never the other way round.
    if (probe_nobody_user_namespaces().present()) {
        EXPECT_TRUE(unshare_works(65534));
    }
}

TEST(ProbeProcess, PeerPidfdNamesThePeer) {
    // The peer is the process that called connect() or socketpair(): here a child of ours.
    int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);  // a name by the kernel
    socklen_t size = sizeof address;
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    auto child = Child::fork([&]() -> int {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        char wait = 0;
        return ::connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::read(fd, &wait, 1) == 0 ? 0 : 1;
    });
    ASSERT_TRUE(child);
    const int peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    ASSERT_GE(peer, 0);
    int pidfd = -1;
    socklen_t length = sizeof pidfd;
    const bool got = ::getsockopt(peer, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &length) == 0;
    EXPECT_EQ(probe_peer_pidfd().present(), got) << say(probe_peer_pidfd());
    if (got) {
        std::ifstream info("/proc/self/fdinfo/" + std::to_string(pidfd));
        std::string key;
        pid_t pid = 0;
        while (info >> key && key != "Pid:") info.ignore(4096, '\n');
        info >> pid;
        EXPECT_EQ(pid, child->pid());
        ::close(pidfd);
    }
    ::close(peer);
    ::close(listener);
    EXPECT_EQ(child->wait().value_or(-1), 0);
}

TEST(ProbeProcess, PidfdThreadWorksForAnotherThread) {
    std::atomic<pid_t> tid = 0;
    std::atomic<bool> done = false;
    std::thread thread([&] {
        tid = ::gettid();
        while (!done) std::this_thread::yield();
    });
    while (tid == 0) std::this_thread::yield();
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, tid.load(), O_EXCL));
    done = true;
    thread.join();
    EXPECT_EQ(probe_pidfd_thread().present(), fd >= 0) << say(probe_pidfd_thread());
    if (fd >= 0) ::close(fd);
}

TEST(ProbeProcess, OthersAgreeWithKernelSymbols) {
    HostView host;
    EXPECT_EQ(probe_pidfd_getfd().present(), kernel_symbols().contains("__x64_sys_pidfd_getfd") ||
                                                 kernel_symbols().contains("__arm64_sys_pidfd_getfd"));
    const auto into = probe_clone_into_cgroup(host);
    EXPECT_EQ(into.present(), kernel_symbols().contains("cgroup_can_fork")) << say(into);
}

TEST(ProbeNotifier, AgreesWithTheKernelsTypes) {
    const auto btf = Btf::of_vmlinux();
    ASSERT_TRUE(btf);
    const auto trial = try_notifier();
    const std::uint32_t action = SECCOMP_RET_USER_NOTIF;
    EXPECT_EQ(trial.notifier.present(), ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
        << say(trial.notifier);
    EXPECT_TRUE(trial.filter.present()) << say(trial.filter);
    EXPECT_EQ(trial.addfd.present(), btf->has_member("seccomp_kaddfd", "fd")) << say(trial.addfd);
    EXPECT_EQ(trial.addfd_send.present(), btf->has_member("seccomp_kaddfd", "ioctl_flags")) << say(trial.addfd_send);
    EXPECT_EQ(trial.wait_killable.present(), btf->has_member("seccomp_filter", "wait_killable_recv"))
        << say(trial.wait_killable);
}

// The list by mount(2) on a directory of a private mount namespace, which is not how the probe does it.
std::string lsm_file() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("none", "/tmp", "securityfs", 0, nullptr) != 0)
            ::_exit(1);
        char text[512];
        const int fd = ::open("/tmp/lsm", O_RDONLY);
        const ssize_t got = ::read(fd, text, sizeof text);
        ::_exit(got > 0 && ::write(fds[1], text, static_cast<std::size_t>(got)) == got ? 0 : 2);
    }
    ::close(fds[1]);
    char text[512] = {};
    const ssize_t got = ::read(fds[0], text, sizeof text);
    ::close(fds[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    return {text, got > 0 ? static_cast<std::size_t>(got) : 0};
}

TEST(ProbeLsm, ListAgreesWithSecurityfs) {
    NEEDS_ROOT();
    const auto list = active_lsms();
    ASSERT_TRUE(list) << list.error().text("");
    EXPECT_EQ(list->names, parse_lsm_list(lsm_file()));
    EXPECT_EQ(probe_lsm_active().present(), std::ranges::find(list->names, "bpf") != list->names.end());
}

// The way of users without privilege, where the kernel has it; by the same order.
TEST(ProbeLsm, TheCallForOtherUsersAgrees) {
    NEEDS_ROOT();
    const auto expected = parse_lsm_list(lsm_file());
    auto child = Child::fork([&]() -> int {
        if (::setresuid(65534, 65534, 65534) != 0) return 9;
        const auto list = active_lsms();
        if (!list) return ::syscall(461, nullptr, nullptr, 0) != 0 && errno == ENOSYS ? 0 : 1;
        return list->names == expected ? 0 : 2;
    });
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait().value_or(-1), 0);
}

TEST(ProbeLsm, WorksWhereTheTypeLoadsAndTheModuleIsActive) {
    NEEDS_ROOT();
    HostView host;
    const auto works = probe_lsm_works(host);
    const bool built_in = kernel_symbols().contains("bpf_lsm_file_open");
    EXPECT_EQ(probe_lsm_built_in(host).present(), built_in);
    const bool loads = ::libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_LSM, nullptr) == 1;
    if (!built_in) {
        EXPECT_EQ(works.state, Presence::absent) << say(works);
    } else if (!loads) {
        // Built in and refused all the same: the machine forbids it, which is not the kernel's lack.
        EXPECT_EQ(works.state, Presence::unknown) << say(works);
        EXPECT_NE(works.detail.find("refused"), std::string::npos) << say(works);
    } else {
        EXPECT_EQ(works.present(), probe_lsm_active().present()) << say(works);
    }
}

TEST(ProbeProgram, KfuncsAgreeWithKernelSymbols) {
    HostView host;
    const auto path = probe_kfuncs(host, {"bpf_path_d_path", "bpf_get_task_exe_file", "bpf_put_file"});
    EXPECT_EQ(path.present(),
              kernel_symbols().contains("bpf_path_d_path") && kernel_symbols().contains("bpf_get_task_exe_file"))
        << say(path);
    EXPECT_EQ(probe_preempt_disable(host).present(), kernel_symbols().contains("bpf_preempt_disable"))
        << say(probe_preempt_disable(host));
    const auto wq = probe_kfuncs(host, {"bpf_wq_init", "bpf_wq_start"});
    EXPECT_EQ(wq.present(), kernel_symbols().contains("bpf_wq_init")) << say(wq);
    // A kernel function that is none for BPF, where the kernel tells them apart; and one that does not exist.
    if (host.btf()->marks_kfuncs()) {
        EXPECT_EQ(probe_kfuncs(host, {"vfs_read"}).state, Presence::absent);
    }
    EXPECT_EQ(probe_kfuncs(host, {"bpf_no_such_kfunc"}).state, Presence::absent);
}

TEST(ProbeProgram, MapsAndTypesAgreeWithTheKernelsNames) {
    NEEDS_ROOT();
    HostView host;
    ASSERT_TRUE(host.names());
    EXPECT_EQ(probe_arena().present(), host.names()->value(NameKind::map_type, "arena").has_value())
        << say(probe_arena());
    EXPECT_EQ(probe_cgroup_sysctl().present(), ::libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_CGROUP_SYSCTL, nullptr) == 1)
        << say(probe_cgroup_sysctl());
    EXPECT_TRUE(probe_program_types().present()) << say(probe_program_types());
}

TEST(HostFacts, SysctlsAreTheFilesTheyName) {
    for (const auto& [id, file] : {std::pair{"unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled"},
                                   std::pair{"perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid"},
                                   std::pair{"ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope"},
                                   std::pair{"bpf_jit_enable", "/proc/sys/net/core/bpf_jit_enable"}}) {
        const std::string ids[] = {id};
        const auto fact = check_host(ids).front();
        std::ifstream stream(file);
        std::string value;
        const bool there = static_cast<bool>(stream >> value);
        EXPECT_EQ(fact.state == Presence::present, there) << id;
        if (there) {
            EXPECT_TRUE(fact.detail.starts_with(value)) << id << ": " << fact.detail;
        }
    }
}

}  // namespace
}  // namespace bpfwarden::kernel
