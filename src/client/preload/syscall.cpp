// SPDX-License-Identifier: Apache-2.0
// syscall(3), which libbpf calls for bpf(2) and perf_event_open(2), and everybody for anything.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdarg>

#include "client/kernel_call.hpp"
#include "client/preload/session.hpp"
#include "wire/commands.hpp"

#ifdef BPFWARDEN_NO_KERNEL_CALL
#error "libbpfwarden-preload needs kernel_call() for this architecture: syscall() would call itself"
#endif

namespace bpfwarden::preload {

namespace {

long as_c(long result) {
    if (result >= 0) return result;
    errno = static_cast<int>(-result);
    return -1;
}

long bpf(int command, bpf_attr* attr, unsigned size) {
    const auto route = wire::route_of(static_cast<unsigned>(command));
    if (route == wire::Route::kernel || !is_configured())
        return as_c(client::kernel_call(SYS_bpf, command, reinterpret_cast<long>(attr), size));
    if (attr == nullptr) return as_c(-EFAULT);
    const int before = errno;
    auto* over = session();
    if (over == nullptr) return -1;
    const int result = bpfw_bpf(over, command, attr, size);
    if (result >= 0) {
        errno = before;
    } else {
        explain();
    }
    return result;
}

long perf_event_open(const perf_event_attr* attr, pid_t pid, int cpu, int group_fd, unsigned long flags) {
    const auto by_kernel = [&] {
        return client::kernel_call(SYS_perf_event_open, reinterpret_cast<long>(attr), pid, cpu, group_fd,
                                   static_cast<long>(flags));
    };
    if (!is_configured()) return as_c(by_kernel());
    const int before = errno;
    auto* over = session();
    if (over == nullptr) return -1;
    // The session first: only what it opened can have a program of its own attached.
    const int fd = bpfw_perf_event_open(over, attr, pid, cpu, group_fd, flags);
    if (fd < 0 && (errno == EPERM || errno == EACCES)) {
        const int refused = errno;
        // What the kernel allows anybody needs no session: a program that counts its own cycles goes on as before.
        if (const long own = by_kernel(); own >= 0) {
            errno = before;
            return own;
        }
        errno = refused;
    }
    if (fd < 0) {
        explain();
        return -1;
    }
    if ((flags & PERF_FLAG_FD_CLOEXEC) == 0) client::kernel_call(SYS_fcntl, fd, F_SETFD, 0);
    errno = before;
    return fd;
}

}  // namespace

// The two system calls that are for us; any other number comes here only where there is no assembly below.
extern "C" __attribute__((visibility("hidden"), used)) long bpfwarden_preload_call(long number, long a, long b, long c,
                                                                                   long d, long e, long f) {
    if (number == SYS_bpf) return bpf(static_cast<int>(a), reinterpret_cast<bpf_attr*>(b), static_cast<unsigned>(c));
    if (number == SYS_perf_event_open)
        return perf_event_open(reinterpret_cast<const perf_event_attr*>(a), static_cast<pid_t>(b), static_cast<int>(c),
                               static_cast<int>(d), static_cast<unsigned long>(e));
    return as_c(client::kernel_call(number, a, b, c, d, e, f));
}

extern "C" __attribute__((visibility("hidden"), used)) long bpfwarden_preload_failed(long result) {
    return as_c(result);
}

}  // namespace bpfwarden::preload

#if defined(__x86_64__) && defined(__LP64__)
// As libc has it, and two comparisons: no stack frame, so that even calls that return twice (vfork) or on another stack
// (clone) do what they did. The arguments of bpfwarden_preload_call are where syscall()'s own are.
__asm__(
    ".text\n"
    ".globl syscall\n"
    ".type syscall, @function\n"
    "syscall:\n"
    "    .cfi_startproc\n"
    "    endbr64\n"
    "    cmpq $321, %rdi\n"  // SYS_bpf
    "    je 1f\n"
    "    cmpq $298, %rdi\n"  // SYS_perf_event_open
    "    je 1f\n"
    "    movq %rdi, %rax\n"
    "    movq %rsi, %rdi\n"
    "    movq %rdx, %rsi\n"
    "    movq %rcx, %rdx\n"
    "    movq %r8, %r10\n"
    "    movq %r9, %r8\n"
    "    movq 8(%rsp), %r9\n"
    "    syscall\n"
    "    cmpq $-4095, %rax\n"
    "    jae 2f\n"
    "    ret\n"
    "1:  jmp bpfwarden_preload_call\n"
    "2:  movq %rax, %rdi\n"
    "    jmp bpfwarden_preload_failed\n"
    "    .cfi_endproc\n"
    ".size syscall, .-syscall\n");
static_assert(SYS_bpf == 321 && SYS_perf_event_open == 298);
#else
extern "C" __attribute__((visibility("default"))) long syscall(long number, ...) {
    std::va_list list;
    va_start(list, number);
    long arguments[6];
    for (auto& one : arguments) one = va_arg(list, long);
    va_end(list);
    return bpfwarden::preload::bpfwarden_preload_call(number, arguments[0], arguments[1], arguments[2], arguments[3],
                                                      arguments[4], arguments[5]);
}
#endif
