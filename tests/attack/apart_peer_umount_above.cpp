// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: as apart_peer_umount_parent.
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = second_namespace()) return status;
    return status_of(::umount2(at.above.c_str(), MNT_DETACH));
}
static const Registered vector{"apart_peer_umount_above",
                               {.what = "umount -l of the grandparent of the bpffs in another mount namespace",
                                .act = act,
                                .home = Home::apart,
                                .loses = Loses::nothing}};

}  // namespace bpfwarden::test
