// SPDX-License-Identifier: Apache-2.0
// 6.12, 7.2: works. 6.1 has no such ioctl. Seen by sb_umount(the bpffs, MNT_DETACH); no ptrace_access_check is asked on
// the way.
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "root/guests.hpp"

namespace bpfwarden::test {

// Debian 12's headers do not have it.
struct NamespaceInfo {
    __u32 size, mounts;
    __u64 id;
};
static constexpr unsigned long previous = _IOR(0xb7, 12, NamespaceInfo);

static const char* missing() {
    return role() == "floor" ? "the ioctls from one mount namespace to the next are from Linux 6.12" : nullptr;
}

static int act(const Place& at) {
    int space = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (const int status = private_namespace()) return status;
    ::close(space);
    space = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    for (;;) {
        NamespaceInfo info{.size = sizeof info, .mounts = 0, .id = 0};
        space = ::ioctl(space, previous, &info);
        if (space < 0 || ::setns(space, CLONE_NEWNS)) return errno;
        if (::access(at.pin("link").c_str(), F_OK) == 0) return status_of(::umount2(at.mount.c_str(), MNT_DETACH));
    }
}
static const Registered vector{"nsfs_umount",
                               {.what = "umount -l of the bpffs in the mount namespace that NS_MNT_GET_PREV leads to",
                                .act = act,
                                .missing = missing}};

}  // namespace bpfwarden::test
