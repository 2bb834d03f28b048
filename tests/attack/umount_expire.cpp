// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the bpffs, MNT_EXPIRE), twice; the first call always ends with EAGAIN.
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (::umount2(at.mount.c_str(), MNT_EXPIRE) == 0 || errno != EAGAIN) return errno;
    return status_of(::umount2(at.mount.c_str(), MNT_EXPIRE));
}
static const Registered vector{"umount_expire", {.what = "two expiring umounts of the bpffs", .act = act}};

}  // namespace bpfwarden::test
