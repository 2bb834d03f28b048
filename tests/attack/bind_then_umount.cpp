// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: the second mount alone goes. Seen by sb_umount(the second mount: the same superblock and root,
// another mount).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return steps([&] { return ::mount(at.mount.c_str(), on_stage.c_str(), nullptr, MS_BIND, nullptr); },
                 [] { return ::umount2(on_stage.c_str(), MNT_DETACH); });
}
static const Registered vector{
    "bind_then_umount",
    {.what = "the bpffs is bound elsewhere, and that is umounted", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
