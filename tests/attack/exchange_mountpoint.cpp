// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename twice, (a, b) and (b, a); then inode_rmdir of the mountpoint under the
// other's name.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdio>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    const auto other = at.parent + "_other";
    return steps([&] { return ::umount2(at.parent.c_str(), MNT_DETACH); }, [&] { return ::mkdir(other.c_str(), 0700); },
                 [&] { return ::renameat2(AT_FDCWD, at.parent.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE); },
                 [&] { return ::rmdir(other.c_str()); });
}
static const Registered vector{"exchange_mountpoint",
                               {.what = "a mountpoint below the bpffs changes names with a directory, then is removed",
                                .act = act,
                                .home = Home::apart}};

}  // namespace bpfwarden::test
