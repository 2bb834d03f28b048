// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: no hook sees it. The policy decides; its owner cannot replace it here, but by another mount of the
// same bpffs.
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    mount_attr attributes{.attr_set = MOUNT_ATTR_RDONLY, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
    return status_of(::mount_setattr(AT_FDCWD, at.mount.c_str(), 0, &attributes, sizeof attributes));
}
static const Registered vector{
    "setattr_read_only",
    {.what = "mount_setattr() makes the mount of the bpffs read-only", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
