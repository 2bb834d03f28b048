// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the parent alone, MNT_DETACH): the bpffs goes with it and no hook has it.
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::umount2(at.parent.c_str(), MNT_DETACH)); }
static const Registered vector{"umount_parent", {.what = "umount -l of the mount below the bpffs", .act = act}};

}  // namespace bpfwarden::test
