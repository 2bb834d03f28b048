// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_mount(path = its root, MS_REMOUNT | MS_RDONLY), then sb_remount(its superblock).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    return status_of(::mount(nullptr, at.mount.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr));
}
static const Registered vector{"remount",
                               {.what = "the bpffs is made read-only: the policy decides, its owner cannot replace it",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_read_only}};

}  // namespace bpfwarden::test
