// SPDX-License-Identifier: Apache-2.0
// System calls by instruction. The preload library *is* syscall(3) for its process, so what it and this library under
// it ask of the kernel themselves must not go through that name.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace bpfwarden::client {

// The kernel's word: a value, or -errno; errno is left alone.
inline long kernel_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__) && defined(__LP64__)
    long result = number;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#define BPFWARDEN_NO_KERNEL_CALL 1
    const int before = errno;
    const long result = ::syscall(number, a, b, c, d, e, f);
    const long given = result == -1 ? -errno : result;
    errno = before;
    return given;
#endif
}

}  // namespace bpfwarden::client
