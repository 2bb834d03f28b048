// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_setscheduler.
#include <sched.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int set_affinity(pid_t pid) {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    return ::sched_setaffinity(pid, sizeof first, &first);
}
static int act(const Place&) { return status_of(set_affinity(guardian())); }
static const Registered vector{
    "guardian_affinity",
    {.what = "the guard's process is put onto one processor", .act = act, .loses = Loses::act, .guardian = true}};

}  // namespace bpfwarden::test
