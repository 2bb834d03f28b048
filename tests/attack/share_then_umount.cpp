// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. mount_setattr() is seen by no hook. Seen by sb_umount(the copy, MNT_DETACH) alone.
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    mount_attr shared{.attr_set = 0, .attr_clr = 0, .propagation = MS_SHARED, .userns_fd = 0};
    if (::mount_setattr(AT_FDCWD, at.parent.c_str(), 0, &shared, sizeof shared)) return errno;
    if (const int status = second_namespace()) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}
static const Registered vector{
    "share_then_umount",
    {.what = "the private mount below the bpffs is shared again, then the bpffs umounted in a new namespace",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
