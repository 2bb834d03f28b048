// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As rbind_then_umount, but what is named has nothing to do with the bpffs: the copy of its
// parent is on it. Seen by sb_mount(path = elsewhere, MS_BIND | MS_REC), sb_umount(what that stands on, MNT_DETACH).
#include <sys/mount.h>

#include "attack/acts.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return steps([&] { return ::mount(at.parent.c_str(), on_stage.c_str(), nullptr, MS_BIND | MS_REC, nullptr); },
                 [] { return ::umount2(stage.c_str(), MNT_DETACH); });
}

static const Registered vector{"rbind_then_umount_beneath",
                               {.what = "the mount below the bpffs is bound elsewhere with all on it, and what that "
                                        "stands on is umounted with umount -l",
                                .act = act}};

}  // namespace bpfwarden::test
