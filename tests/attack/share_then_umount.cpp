// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. mount_setattr() is seen by no hook. Seen by sb_umount(the copy, MNT_DETACH) alone.
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (set_propagation(at.parent, MS_SHARED)) return errno;
    if (const int status = second_namespace()) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}
static const Registered vector{
    "share_then_umount",
    {.what = "the private mount below the bpffs is shared again, then the bpffs umounted in a new namespace",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
