// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_kill(SIGKILL).
#include <signal.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return status_of(::kill(guardian(), SIGKILL)); }
static const Registered vector{"guardian_kill",
                               {.what = "SIGKILL for the guard's process",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = guardian_is_gone,
                                .guardian = true}};

}  // namespace bpfwarden::test
