// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_kill(SIGSTOP).
#include <signal.h>

#include "attack/attack.hpp"
#include "attack/eventually.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static bool is_stopped(const Place&) { return about_guardian("status").contains("State:\tT"); }
static int act(const Place&) {
    if (::kill(guardian(), SIGSTOP)) return errno;
    return eventually(std::chrono::seconds(5), [] { return is_stopped({}); }) ? 0 : ETIMEDOUT;
}
static const Registered vector{"guardian_stop",
                               {.what = "SIGSTOP for the guard's process",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_stopped,
                                .guardian = true}};

}  // namespace bpfwarden::test
