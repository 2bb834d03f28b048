// SPDX-License-Identifier: Apache-2.0
#include "broker/confine.hpp"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "kernel/seccomp_allow.hpp"

namespace bpfwarden::broker {

namespace {

using kernel::AllowedCall;

// Memory, messages, time and the end: what worker and opener both do.
constexpr AllowedCall common[] = {
    {SYS_recvmsg},
    {SYS_sendmsg},
    {SYS_poll},
    {SYS_close},
    {SYS_mmap},
    {SYS_munmap},
    {SYS_mremap},
    {SYS_brk},
    {SYS_madvise},
    {SYS_futex},
    {SYS_clock_gettime},
    {SYS_exit_group},
    {SYS_getpid},
    {SYS_gettid},
    {SYS_rt_sigreturn},
    {SYS_write},
    {SYS_read},
    {SYS_restart_syscall},
    {SYS_readlink},
    {SYS_readlinkat},
    {SYS_getrandom},
    {SYS_rt_sigprocmask},
    {SYS_memfd_create},
    {SYS_ftruncate},
    // Only what reports: F_GETFD…F_GETFL and F_GET_SEALS, F_ADD_SEALS, F_DUPFD_CLOEXEC are all it is used for.
    {SYS_fcntl},
    {SYS_fstat},
    {SYS_newfstatat},
    {SYS_lseek},
    {SYS_pread64},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(PERF_EVENT_IOC_ID)},
};
constexpr AllowedCall bpf(std::uint32_t command) { return {SYS_bpf, 0, ~0U, command}; }
constexpr AllowedCall of_worker[] = {
    // What it does for clients, and nothing that finds objects by path or number: those of others are not its business.
    bpf(BPF_MAP_CREATE),
    bpf(BPF_PROG_LOAD),
    bpf(BPF_OBJ_GET_INFO_BY_FD),
    bpf(BPF_LINK_CREATE),
    bpf(BPF_BTF_LOAD),
    bpf(BPF_MAP_FREEZE),
    bpf(BPF_PROG_TEST_RUN),
    bpf(BPF_PROG_QUERY),
    bpf(BPF_RAW_TRACEPOINT_OPEN),
    bpf(BPF_LINK_UPDATE),
    bpf(BPF_LINK_DETACH),
    bpf(BPF_ITER_CREATE),
    bpf(BPF_PROG_BIND_MAP),
    bpf(BPF_MAP_UPDATE_ELEM),  // a program as its element
    // Of the threads whose calls are put to it: their arguments, the fds in them, files by their paths.
    {SYS_process_vm_readv},
    {SYS_process_vm_writev},
    {SYS_pidfd_open},
    {SYS_pidfd_getfd},
    {SYS_kcmp},
    {SYS_setresuid, 1, ~0U, ~0U},  // the real user, to be the one whose processes these are
    {SYS_openat2},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(SECCOMP_IOCTL_NOTIF_RECV)},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(SECCOMP_IOCTL_NOTIF_SEND)},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(SECCOMP_IOCTL_NOTIF_ID_VALID)},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(SECCOMP_IOCTL_NOTIF_ADDFD)},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(PERF_EVENT_IOC_ENABLE)},
    {SYS_ioctl, 1, ~0U, static_cast<std::uint32_t>(PERF_EVENT_IOC_DISABLE)},
    {SYS_sched_yield},
    {SYS_epoll_create1},
    {SYS_epoll_ctl},
    {SYS_epoll_wait},
    {SYS_epoll_pwait},
    {SYS_socketpair},
    {SYS_shutdown},
    {SYS_getsockopt},
    {SYS_setsockopt},
    {SYS_getsockname},
    {SYS_getpeername},
    {SYS_fstatfs},
    {SYS_getdents64},
    {SYS_socket, 0, ~0U, AF_UNIX},
    {SYS_ioctl, 1, ~0U, SIOCGIFNAME},
    // Directories, to find the path of a control group; no file.
    {SYS_openat, 2, O_DIRECTORY | O_ACCMODE | O_CREAT | O_TRUNC, O_DIRECTORY},
};
constexpr AllowedCall of_opener[] = {
    {SYS_perf_event_open},
    {SYS_fstatfs},
    {SYS_getdents64},
    {SYS_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
};

// Nothing that opens, makes, starts or connects; memory that is never executable.
constexpr AllowedCall of_parser[] = {
    {SYS_recvmsg},
    {SYS_sendmsg},
    {SYS_poll},
    {SYS_close},
    {SYS_read},
    {SYS_pread64},
    {SYS_lseek},
    {SYS_fstatfs},
    {SYS_fstat},
    // By a wrapper of fstat(), and with no path.
    {SYS_newfstatat, 3, ~0U, AT_EMPTY_PATH},
    {SYS_fcntl, 1, ~0U, F_GET_SEALS},
    {SYS_fcntl, 1, ~0U, F_GETFL},
    {SYS_fcntl, 1, ~0U, F_GETFD},
    {SYS_mmap, 2, PROT_EXEC, 0},
    {SYS_munmap},
    {SYS_mremap},
    {SYS_brk},
    {SYS_madvise},
    {SYS_futex},
    {SYS_clock_gettime},
    {SYS_getpid},
    {SYS_gettid},
    {SYS_getrandom},
    {SYS_alarm},
    {SYS_setitimer},
    {SYS_rt_sigreturn},
    {SYS_rt_sigprocmask},
    {SYS_restart_syscall},
    {SYS_exit_group},
};

Result<> close_all_but(std::vector<int> kept) {
    for (const int standard : {0, 1, 2}) kept.push_back(standard);
    std::erase_if(kept, [](int fd) { return fd < 0; });
    std::ranges::sort(kept);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        const auto first = static_cast<unsigned>(kept[i]) + 1;
        const auto last = i + 1 < kept.size() ? static_cast<unsigned>(kept[i + 1]) - 1 : ~0U;
        if (first <= last && ::close_range(first, last, 0) != 0) return fail_errno("close_range");
    }
    return {};
}

Result<> confine(kernel::CapabilityMask capabilities, std::span<const AllowedCall> own,
                 std::span<const AllowedCall> others) {
    BW_TRY(kernel::keep_only(capabilities));
    // Nobody of the same uid reads its memory or takes its fds.
    if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("prctl(PR_SET_DUMPABLE)");
    std::vector<AllowedCall> all(own.begin(), own.end());
#ifdef __SANITIZE_ADDRESS__
    // What the sanitizers themselves look at memory with, and put up for an end.
    for (const auto call : {AllowedCall{SYS_pipe}, AllowedCall{SYS_pipe2}, AllowedCall{SYS_sigaltstack}})
        all.push_back(call);
#endif
    all.insert(all.end(), others.begin(), others.end());
    return kernel::allow_only(all);
}

}  // namespace

Result<> confine_worker(kernel::CapabilityMask capabilities) { return confine(capabilities, of_worker, common); }

Result<> confine_opener(kernel::CapabilityMask capabilities, std::vector<int> kept) {
    BW_TRY(close_all_but(std::move(kept)));
    return confine(capabilities, of_opener, common);
}

Result<> confine_parser(std::vector<int> kept) {
    BW_TRY(close_all_but(std::move(kept)));
    // Far above what the largest program and symbol table take, far below what a machine would notice.
#ifdef __SANITIZE_ADDRESS__
    constexpr rlim_t most = RLIM_INFINITY;  // its shadow takes terabytes of addresses
#else
    constexpr rlim_t most = 1U << 30;
#endif
    constexpr rlimit nothing{0, 0};
    rlimit memory{};
    if (::getrlimit(RLIMIT_AS, &memory) != 0) return fail_errno("getrlimit");
    memory.rlim_cur = memory.rlim_max = std::min(memory.rlim_max, most);
    if (::setrlimit(RLIMIT_AS, &memory) != 0 || ::setrlimit(RLIMIT_CORE, &nothing) != 0) return fail_errno("setrlimit");
    // Only its own clock's signal, which ends it.
    ::signal(SIGALRM, SIG_DFL);
    return confine(0, of_parser, {});
}

Result<> confine_daemon() {
    BW_TRY(kernel::keep_only(0));
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl(PR_SET_NO_NEW_PRIVS)");
    if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("prctl(PR_SET_DUMPABLE)");
    return {};
}

}  // namespace bpfwarden::broker
