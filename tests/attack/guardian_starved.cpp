// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing: it is the attacker's own priority. The kernel leaves 5 % to others.
#include <sched.h>

#include "attack/attack.hpp"
#include "attack/eventually.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const sched_param highest{.sched_priority = 99};
    if (::sched_setscheduler(0, SCHED_FIFO, &highest)) return errno;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (std::chrono::steady_clock::now() < end) {
    }
    return 0;
}
static const Registered vector{
    "guardian_starved",
    {.what = "a process of the highest priority (SCHED_FIFO 99) leaves no time to the guard's",
     .act = act,
     .loses = Loses::nothing,
     .achieved = guardian_is_gone,
     .guardian = true}};

}  // namespace bpfwarden::test
