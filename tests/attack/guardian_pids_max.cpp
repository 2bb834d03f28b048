// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing.
#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return limit_guardian("pids", "pids.max", "0"); }
static const Registered vector{
    "guardian_pids_max",
    {.what = "the guard's process is moved into a control group that may start none (pids.max)",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_in_our_cgroup,
     .clean_up = leave_cgroup,
     .guardian = true,
     .not_held = nothing_sees_cgroups}};

}  // namespace bpfwarden::test
