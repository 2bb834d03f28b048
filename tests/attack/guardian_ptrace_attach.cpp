// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH).
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const pid_t it = guardian();
    return steps([&] { return ::ptrace(PTRACE_ATTACH, it, nullptr, nullptr); },
                 [&] { return ::waitpid(it, nullptr, 0); },
                 [&] { return ::ptrace(PTRACE_KILL, it, nullptr, nullptr); });
}
static const Registered vector{"guardian_ptrace_attach",
                               {.what = "the guard's process is attached to by ptrace, and ended",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = guardian_is_gone,
                                .guardian = true}};

}  // namespace bpfwarden::test
