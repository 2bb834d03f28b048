// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename(…, old dentry = the mountpoint, …), after which the policy still decides;
// then inode_rmdir(…, the same inode, another name).
#include <sys/mount.h>
#include <unistd.h>
#include <cstdio>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    const auto other = at.parent + "_other";
    return steps([&] { return ::umount2(at.parent.c_str(), MNT_DETACH); },
                 [&] { return ::rename(at.parent.c_str(), other.c_str()); }, [&] { return ::rmdir(other.c_str()); });
}
static const Registered vector{
    "rename_mountpoint",
    {.what = "a mountpoint below the bpffs is renamed where nothing is mounted on it, then removed",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
