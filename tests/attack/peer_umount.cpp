// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the copy, MNT_DETACH): another mount of another namespace, with the same
// superblock and root. Its propagation to the first namespace asks nobody.
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = second_namespace()) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}
static const Registered vector{
    "peer_umount", {.what = "umount -l of the bpffs in another mount namespace, whose mounts are peers", .act = act}};

}  // namespace bpfwarden::test
