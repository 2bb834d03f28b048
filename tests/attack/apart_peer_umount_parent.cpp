// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: its own parent is shared, so this comes to the first namespace; a mount with others on it is kept
// there.
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = second_namespace()) return status;
    return status_of(::umount2(at.parent.c_str(), MNT_DETACH));
}
static const Registered vector{"apart_peer_umount_parent",
                               {.what = "umount -l of the private mount below the bpffs, in another mount namespace",
                                .act = act,
                                .home = Home::apart,
                                .loses = Loses::nothing}};

}  // namespace bpfwarden::test
