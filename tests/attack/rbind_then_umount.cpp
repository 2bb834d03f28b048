// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The copy of the bpffs goes with what is named, and as the copy of its parent is a peer, so
// does the bpffs itself. Seen by sb_mount(path = elsewhere, MS_BIND | MS_REC), sb_umount(the copy of the parent,
// MNT_DETACH).
#include <sys/mount.h>

#include "attack/acts.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return steps([&] { return ::mount(at.parent.c_str(), on_stage.c_str(), nullptr, MS_BIND | MS_REC, nullptr); },
                 [] { return ::umount2(on_stage.c_str(), MNT_DETACH); });
}

static const Registered vector{
    "rbind_then_umount",
    {.what = "the mount below the bpffs is bound elsewhere with all on it, and that is umounted with umount -l",
     .act = act}};

}  // namespace bpfwarden::test
