// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing: anybody may say of others that they are to be killed first, and the kernel
// kills without task_kill.
#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const auto first = "/proc/" + std::to_string(guardian()) + "/oom_score_adj";
    if (const int status = write_switch(first, "1000")) return status;
    if (const int status = write_switch("/proc/sysrq-trigger", "f")) return status;
    return guardian_ends(std::chrono::seconds(10));
}
static const Registered vector{"guardian_oom",
                               {.what = "the guard's process is the first to be killed without memory (oom_score_adj), "
                                        "and the kernel is told that there is none (sysrq f)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = guardian_is_gone,
                                .guardian = true,
                                .not_held = "no hook sees the kernel kill for want of memory"}};

}  // namespace bpfwarden::test
