// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_setscheduler.
#include <sched.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static bool is_idle(const Place&) { return ::sched_getscheduler(guardian()) == SCHED_IDLE; }
static int act(const Place&) {
    const sched_param none{};
    return status_of(::sched_setscheduler(guardian(), SCHED_IDLE, &none));
}
static const Registered vector{"guardian_idle",
                               {.what = "the guard's process runs only when nobody else does (SCHED_IDLE)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_idle,
                                .guardian = true}};

}  // namespace bpfwarden::test
