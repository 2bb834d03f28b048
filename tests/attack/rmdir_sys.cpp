// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As rmdir_mountpoint: the bpffs at its usual place is on a mountpoint that can be removed.
#include <sys/mount.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    return steps([&] { return ::umount2(at.parent.c_str(), MNT_DETACH); }, [&] { return ::rmdir(at.parent.c_str()); });
}
static const Registered vector{
    "rmdir_sys", {.what = "rmdir() of /sys in a mount namespace where nothing is mounted on it", .act = act}};

}  // namespace bpfwarden::test
