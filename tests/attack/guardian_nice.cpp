// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_setnice.
#include <sys/resource.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static bool is_nice(const Place&) { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(guardian())) == 19; }
static int act(const Place&) { return status_of(::setpriority(PRIO_PROCESS, static_cast<id_t>(guardian()), 19)); }
static const Registered vector{"guardian_nice",
                               {.what = "the guard's process gets the least priority (nice 19)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_nice,
                                .guardian = true}};

}  // namespace bpfwarden::test
