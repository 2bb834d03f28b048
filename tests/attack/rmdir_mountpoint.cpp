// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The kernel takes away all mounts of a directory that is removed, in every namespace
// (detach_mounts), and no hook has a mount. Seen by sb_umount(the copy), inode_rmdir(directory, dentry of the
// mountpoint: the same in all namespaces).
#include <sys/mount.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    return steps([&] { return ::umount2(at.parent.c_str(), MNT_DETACH); }, [&] { return ::rmdir(at.parent.c_str()); });
}
static const Registered vector{
    "rmdir_mountpoint",
    {.what = "rmdir() of a mountpoint below the bpffs, in a mount namespace where nothing is mounted on it",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
