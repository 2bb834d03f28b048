// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As rmdir_mountpoint, one level higher. On sysfs it is EPERM: /sys/fs/bpf cannot be removed,
// but /sys can.
#include <sys/mount.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = private_namespace()) return status;
    return steps([&] { return ::umount2(at.mount.c_str(), MNT_DETACH); }, [&] { return ::rmdir(at.mount.c_str()); });
}
static const Registered vector{
    "rmdir_own_mountpoint",
    {.what = "rmdir() of the bpffs's own mountpoint, in a mount namespace where nothing is mounted on it",
     .act = act,
     .home = Home::apart}};

}  // namespace bpfwarden::test
