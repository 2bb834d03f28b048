// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH).
#include <sys/ptrace.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return status_of(::ptrace(PTRACE_SEIZE, guardian(), nullptr, PTRACE_O_EXITKILL)); }
static const Registered vector{
    "guardian_ptrace_seize",
    {.what = "the guard's process is seized with PTRACE_O_EXITKILL, and dies with its tracer",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_gone,
     .guardian = true}};

}  // namespace bpfwarden::test
