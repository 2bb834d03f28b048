// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As rmdir_mountpoint. Seen by inode_rename(…, old dentry, …, new dentry = the mountpoint, with
// an inode).
#include <sys/mount.h>
#include <sys/stat.h>
#include <cstdio>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    const auto other = at.parent + "_other";
    return steps([&] { return ::umount2(at.parent.c_str(), MNT_DETACH); }, [&] { return ::mkdir(other.c_str(), 0700); },
                 [&] { return ::rename(other.c_str(), at.parent.c_str()); });
}
static const Registered vector{
    "rename_onto_mountpoint",
    {.what = "a directory is renamed onto a mountpoint below the bpffs, where nothing is mounted on it",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
