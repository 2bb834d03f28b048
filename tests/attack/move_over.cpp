// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by move_mount(from = the clone, to = the directory of the pins), and not by sb_mount.
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    const int copy = ::open_tree(AT_FDCWD, stage.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return status_of(::move_mount(copy, "", AT_FDCWD, at.pins.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
}
static const Registered vector{
    "move_over",
    {.what = "a cloned tree is moved over the pins: the policy decides, its owner does not find it",
     .act = act,
     .loses = Loses::other,
     .achieved = pin_is_hidden}};

}  // namespace bpfwarden::test
