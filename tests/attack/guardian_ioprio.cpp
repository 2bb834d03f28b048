// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_setioprio.
#include <linux/ioprio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static constexpr int idle = IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT;
static bool is_idle(const Place&) { return ::syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, guardian()) == idle; }
static int act(const Place&) { return status_of(::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, guardian(), idle)); }
static const Registered vector{"guardian_ioprio",
                               {.what = "the guard's process writes to disks only when nobody else does (ioprio)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_idle,
                                .guardian = true}};

}  // namespace bpfwarden::test
