// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Its old parent is made private by mount_setattr(), which no hook sees. Seen by
// move_mount(from->mnt = the bpffs, to), then sb_umount(the new parent alone, MNT_DETACH).
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return steps([&] { return set_propagation(at.parent, MS_PRIVATE); },
                 [&] { return ::move_mount(AT_FDCWD, at.mount.c_str(), AT_FDCWD, on_stage.c_str(), 0); },
                 [&] { return ::umount2(stage.c_str(), MNT_DETACH); });
}
static const Registered vector{
    "move_mount_then_umount",
    {.what = "the bpffs is moved by move_mount(), then its new parent umounted with umount -l", .act = act}};

}  // namespace bpfwarden::test
