// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the copy of the root, MNT_DETACH).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = second_namespace()) return status;
    return status_of(::umount2("/", MNT_DETACH));
}
static const Registered vector{"peer_umount_root",
                               {.what = "umount -l / in another mount namespace, whose mounts are peers", .act = act}};

}  // namespace bpfwarden::test
