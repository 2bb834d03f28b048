// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_mount(path = the grandparent, MS_PRIVATE), sb_mount(path = the new place, MS_MOVE),
// sb_umount(the new parent alone).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return steps([&] { return ::mount(nullptr, at.above.c_str(), nullptr, MS_PRIVATE, nullptr); },
                 [&] { return ::mount(at.parent.c_str(), on_stage.c_str(), nullptr, MS_MOVE, nullptr); },
                 [&] { return ::umount2(stage.c_str(), MNT_DETACH); });
}
static const Registered vector{
    "move_parent_then_umount",
    {.what = "the mount below the bpffs is moved, then its new parent umounted with umount -l",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
