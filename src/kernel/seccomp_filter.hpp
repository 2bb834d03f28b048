// SPDX-License-Identifier: Apache-2.0
// Installs a seccomp filter.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>

#include <cstdint>
#include <span>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// What seccomp calls the machine that this is compiled for.
#if defined(__x86_64__)
inline constexpr std::uint32_t native_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
inline constexpr std::uint32_t native_architecture = AUDIT_ARCH_AARCH64;
#else
#error "no seccomp architecture is known for this machine"
#endif

struct SeccompFlags {
    bool all_threads = false;    // TSYNC: for every thread of the process, or for none
    bool log = false;            // every action but ALLOW is logged, where actions_logged has it
    bool speculate = false;      // SPEC_ALLOW: without the speculative store bypass mitigation, on kernels before 5.16
    bool new_listener = false;   // gives the fd at which USER_NOTIF is answered; with TSYNC since 5.7
    bool wait_killable = false;  // with a listener: once an answer is under way, only a fatal signal breaks the call
};

// For this thread, what it makes from now on, and for good; sets no_new_privs first, so that no privilege is needed
// (seccomp(2); Linux 3.17, log 4.14, listeners 5.0, wait_killable 5.19). The fd of the listener, if one was asked for.
Result<UniqueFd> install_filter(std::span<const sock_filter> program, SeccompFlags flags = {});

}  // namespace bpfwarden::kernel
