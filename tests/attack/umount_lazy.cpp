// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the bpffs, MNT_DETACH).
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::umount2(at.mount.c_str(), MNT_DETACH)); }
static const Registered vector{"umount_lazy", {.what = "umount -l of the bpffs", .act = act}};

}  // namespace bpfwarden::test
