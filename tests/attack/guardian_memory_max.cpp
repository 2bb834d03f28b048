// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing: it dies of its next allocation.
#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = limit_guardian("memory", "memory.max", "0")) return status;
    return guardian_ends(std::chrono::seconds(30));
}
static const Registered vector{
    "guardian_memory_max",
    {.what = "the guard's process is moved into a control group that may have no memory (memory.max)",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_gone,
     .clean_up = leave_cgroup,
     .guardian = true,
     .not_held = nothing_sees_cgroups}};

}  // namespace bpfwarden::test
