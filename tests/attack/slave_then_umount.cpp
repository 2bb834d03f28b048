// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. mount_setattr() is seen by no hook; the victim's parent has no group any more, but a master.
// Seen by sb_umount(the copy, MNT_DETACH) alone.
#include <sys/mount.h>

#include "attack/acts.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = back_and_forth([&] { return set_propagation(at.parent, MS_SLAVE); })) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}

static const Registered vector{
    "slave_then_umount",
    {.what = "the mount below the bpffs becomes the slave of a copy, where the bpffs is then umounted", .act = act}};

}  // namespace bpfwarden::test
