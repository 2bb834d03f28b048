// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: the copy alone goes. sb_umount(the copy, MNT_DETACH) looks as in peer_umount.
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}
static const Registered vector{
    "private_umount",
    {.what = "umount -l of the bpffs in a mount namespace that shares nothing", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
