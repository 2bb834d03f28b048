// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the grandparent alone, MNT_DETACH).
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::umount2(at.above.c_str(), MNT_DETACH)); }
static const Registered vector{"apart_umount_above",
                               {.what = "umount -l of the grandparent of the bpffs", .act = act, .home = Home::apart}};

}  // namespace bpfwarden::test
