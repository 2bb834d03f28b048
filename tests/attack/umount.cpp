// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Pins do not make a mount busy. Seen by sb_umount(the bpffs, 0).
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::umount2(at.mount.c_str(), 0)); }
static const Registered vector{"umount", {.what = "umount of the bpffs", .act = act}};

}  // namespace bpfwarden::test
