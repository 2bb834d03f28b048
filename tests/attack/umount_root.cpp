// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the root, MNT_DETACH): everything goes with it.
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return status_of(::umount2("/", MNT_DETACH)); }
static const Registered vector{"umount_root", {.what = "umount -l /", .act = act}};

}  // namespace bpfwarden::test
