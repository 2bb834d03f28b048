// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rmdir, as from rmdir().
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    if (::umount2(at.parent.c_str(), MNT_DETACH)) return errno;
    return -Uring().remove(at.parent, AT_REMOVEDIR);
}
static const Registered vector{"uring_rmdir_mountpoint",
                               {.what = "io_uring removes a mountpoint below the bpffs where nothing is mounted on it",
                                .act = act,
                                .home = Home::apart}};

}  // namespace bpfwarden::test
