// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing: the kernel kills without task_kill.
#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = put_guardian_into_cgroup()) return status;
    if (const int status = write_in_cgroup("cgroup.kill", "1")) return status;
    return guardian_ends(std::chrono::seconds(5));
}
static const Registered vector{
    "guardian_cgroup_kill",
    {.what = "the guard's process is moved into another control group, and that is killed (cgroup.kill)",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_gone,
     .clean_up = leave_cgroup,
     .guardian = true,
     .not_held = nothing_sees_cgroups}};

}  // namespace bpfwarden::test
