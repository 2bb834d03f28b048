// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the bpffs, MNT_DETACH).
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const int mount = ::open(at.mount.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return status_of(::umount2(("/proc/self/fd/" + std::to_string(mount)).c_str(), MNT_DETACH));
}
static const Registered vector{"umount_by_descriptor", {.what = "umount -l of the bpffs by /proc/self/fd", .act = act}};

}  // namespace bpfwarden::test
