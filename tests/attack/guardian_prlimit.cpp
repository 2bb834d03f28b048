// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by task_setrlimit.
#include <sys/resource.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static bool may_open_nothing(const Place&) {
    rlimit now{};
    return ::prlimit(guardian(), RLIMIT_NOFILE, nullptr, &now) == 0 && now.rlim_max == 0;
}
static int act(const Place&) {
    const rlimit nothing{0, 0};
    return status_of(::prlimit(guardian(), RLIMIT_NOFILE, &nothing, nullptr));
}
static const Registered vector{"guardian_prlimit",
                               {.what = "the guard's process is permitted no more files (prlimit)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = may_open_nothing,
                                .guardian = true}};

}  // namespace bpfwarden::test
