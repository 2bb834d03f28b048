// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. In the first mount namespace it has no privilege, and in its own the mounts
// are locked. Not seen: the kernel refuses it before.
#include <sched.h>
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = steps([] { return ::unshare(CLONE_NEWUSER); })) return status;
    if (::umount2(at.mount.c_str(), MNT_DETACH) == 0) return 0;
    return steps([] { return ::unshare(CLONE_NEWNS); }, [&] { return ::umount2(at.mount.c_str(), MNT_DETACH); });
}
static const Registered vector{
    "userns_umount",
    {.what = "umount -l of the bpffs by root of a user namespace", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
