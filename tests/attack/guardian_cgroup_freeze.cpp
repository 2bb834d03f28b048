// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing.
#include "attack/attack.hpp"
#include "attack/eventually.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static bool is_frozen(const Place&) { return text_of("/sys/fs/cgroup/attackers/cgroup.events").contains("frozen 1"); }
static int act(const Place& at) {
    if (const int status = put_guardian_into_cgroup()) return status;
    if (const int status = write_in_cgroup("cgroup.freeze", "1")) return status;
    return eventually(std::chrono::seconds(5), [&] { return is_frozen(at); }) ? 0 : ETIMEDOUT;
}
static const Registered vector{
    "guardian_cgroup_freeze",
    {.what = "the guard's process is moved into another control group, and that is frozen (cgroup.freeze)",
     .act = act,
     .loses = Loses::other,
     .achieved = is_frozen,
     .clean_up = leave_cgroup,
     .guardian = true,
     .not_held = nothing_sees_cgroups}};

}  // namespace bpfwarden::test
