// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_mount(path = the old parent, MS_PRIVATE), which has to come first; sb_mount(path =
// the new place, device = the old place as a string, MS_MOVE), and not by move_mount; sb_umount(the new parent alone,
// MNT_DETACH).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return steps([&] { return ::mount(nullptr, at.parent.c_str(), nullptr, MS_PRIVATE, nullptr); },
                 [&] { return ::mount(at.mount.c_str(), on_stage.c_str(), nullptr, MS_MOVE, nullptr); },
                 [&] { return ::umount2(stage.c_str(), MNT_DETACH); });
}
static const Registered vector{
    "move_then_umount",
    {.what = "the bpffs is moved by mount(), then its new parent umounted with umount -l", .act = act}};

}  // namespace bpfwarden::test
