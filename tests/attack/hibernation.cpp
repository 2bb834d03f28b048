// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_HIBERNATION).
#include <fcntl.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return status_of(::open("/dev/snapshot", O_RDONLY | O_CLOEXEC)); }
static const Registered vector{"hibernation",
                               {.what = "an image of the running kernel, to be changed and started (/dev/snapshot)",
                                .act = act,
                                .loses = Loses::act}};

}  // namespace bpfwarden::test
