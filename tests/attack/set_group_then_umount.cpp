// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by move_mount(from = the bind, to = the mount below) and sb_umount(the copy, MNT_DETACH).
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    const auto* lender = on_stage.c_str();
    if (const int status =
            steps([&] { return ::mount(at.parent.c_str(), lender, nullptr, MS_BIND, nullptr); },
                  [&] { return ::mount(nullptr, lender, nullptr, MS_SHARED, nullptr); },
                  [&] { return ::move_mount(AT_FDCWD, lender, AT_FDCWD, at.parent.c_str(), MOVE_MOUNT_SET_GROUP); }))
        return status;
    if (const int status = second_namespace()) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}
static const Registered vector{"set_group_then_umount",
                               {.what = "the private mount below the bpffs joins the peer group of a bind, then the "
                                        "bpffs is umounted in a new namespace",
                                .act = act,
                                .home = Home::apart}};

}  // namespace bpfwarden::test
