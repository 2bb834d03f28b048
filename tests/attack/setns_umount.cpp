// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_umount(the bpffs, MNT_DETACH).
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const int first = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (const int status = private_namespace()) return status;
    return steps([&] { return ::setns(first, CLONE_NEWNS); }, [&] { return ::umount2(at.mount.c_str(), MNT_DETACH); });
}
static const Registered vector{
    "setns_umount",
    {.what = "umount -l of the bpffs from a process that left its mount namespace and came back", .act = act}};

}  // namespace bpfwarden::test
