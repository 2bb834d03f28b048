// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_kill(SIGKILL).
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const long process = ::syscall(SYS_pidfd_open, guardian(), 0);
    return status_of(::syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0));
}
static const Registered vector{"guardian_pidfd_kill",
                               {.what = "SIGKILL for the guard's process by a pidfd",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = guardian_is_gone,
                                .guardian = true}};

}  // namespace bpfwarden::test
