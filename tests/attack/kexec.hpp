// SPDX-License-Identifier: Apache-2.0
// Whether another kernel is there to be started.
#pragma once

#include <linux/kexec.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/eventually.hpp"

namespace bpfwarden::test {

inline bool kexec_is_loaded(const Place&) { return text_of("/sys/kernel/kexec_loaded") == "1\n"; }
inline void unload_kexec() { (void)::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }

}  // namespace bpfwarden::test
