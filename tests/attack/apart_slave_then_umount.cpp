// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As slave_then_umount.
#include <sys/mount.h>

#include "attack/acts.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (set_propagation(at.parent, MS_SHARED)) return errno;
    if (const int status = back_and_forth([&] { return set_propagation(at.parent, MS_SLAVE); })) return status;
    return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
}

static const Registered vector{
    "apart_slave_then_umount",
    {.what =
         "the private mount below the bpffs is shared, becomes the slave of a copy, and the bpffs is umounted there",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
