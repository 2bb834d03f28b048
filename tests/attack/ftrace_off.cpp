// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Every program on a trampoline stops, LSM programs too, and no hook of theirs sees it then.
// Seen by file_permission before, and by cgroup/sysctl.
#include <fcntl.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return write_to(::open(disarming, O_WRONLY | O_CLOEXEC), "0"); }
static const Registered vector{"ftrace_off",
                               {.what = "0 is written to kernel.ftrace_enabled", .act = act, .clean_up = arm_again}};

}  // namespace bpfwarden::test
