// SPDX-License-Identifier: Apache-2.0
// 6.12, 7.2: works. 6.1 has no MOVE_MOUNT_BENEATH.
// Seen by move_mount(from, to->mnt = the bpffs), after which the policy still decides; then sb_umount(the bpffs,
// MNT_DETACH).
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "root/guests.hpp"

namespace bpfwarden::test {

// Debian 12's headers do not have it.
static constexpr unsigned beneath = 0x200;

static const char* missing() { return role() == "floor" ? "mounting beneath a mount is from Linux 6.5" : nullptr; }

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    const int copy = ::open_tree(AT_FDCWD, stage.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return steps([&] { return ::move_mount(copy, "", AT_FDCWD, at.mount.c_str(), MOVE_MOUNT_F_EMPTY_PATH | beneath); },
                 [&] { return ::umount2(at.mount.c_str(), MNT_DETACH); });
}
static const Registered vector{"umount_what_is_beneath",
                               {.what = "a tmpfs is put beneath the bpffs, which is then umounted with umount -l",
                                .act = act,
                                .missing = missing}};

}  // namespace bpfwarden::test
