// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_kill(SIGKILL).
#include <sched.h>
#include <signal.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const pid_t it = guardian();
    return steps([] { return ::unshare(CLONE_NEWUSER); }, [&] { return ::kill(it, SIGKILL); });
}
static const Registered vector{"userns_kill",
                               {.what = "SIGKILL for the guard's process from a user namespace, by who is root outside",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = guardian_is_gone,
                                .guardian = true}};

}  // namespace bpfwarden::test
