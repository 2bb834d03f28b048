// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As rbind_then_umount_beneath; mount_setattr() is seen by no hook.
#include <sys/mount.h>

#include "attack/acts.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (set_propagation(at.parent, MS_SHARED)) return errno;
    if (const int status = make_stage()) return status;
    return steps([&] { return ::mount(at.parent.c_str(), on_stage.c_str(), nullptr, MS_BIND | MS_REC, nullptr); },
                 [] { return ::umount2(stage.c_str(), MNT_DETACH); });
}

static const Registered vector{"apart_rbind_then_umount_beneath",
                               {.what = "the private mount below the bpffs is shared, bound elsewhere with all on it, "
                                        "and what that stands on is umounted",
                                .act = act,
                                .home = Home::apart}};

}  // namespace bpfwarden::test
