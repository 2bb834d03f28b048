// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. What is attached to control groups needs no mount.
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return status_of(::umount2("/sys/fs/cgroup", MNT_DETACH)); }
static void mount_again() {
    (void)::umount2("/sys/fs/cgroup", MNT_DETACH);
    (void)::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, nullptr);
}
static const Registered vector{"switch_cgroup2_gone",
                               {.what = "umount -l of cgroup2, where the core is attached",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = mount_again}};

}  // namespace bpfwarden::test
