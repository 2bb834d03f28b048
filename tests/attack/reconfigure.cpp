// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_remount(its superblock) alone, and not by sb_mount.
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const int context = ::fspick(AT_FDCWD, at.mount.c_str(), FSPICK_CLOEXEC);
    return steps([&] { return ::fsconfig(context, FSCONFIG_SET_FLAG, "ro", nullptr, 0); },
                 [&] { return ::fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0); });
}
static const Registered vector{
    "reconfigure",
    {.what = "the bpffs is made read-only by fsconfig(): the policy decides, its owner cannot replace it",
     .act = act,
     .loses = Loses::other,
     .achieved = is_read_only}};

}  // namespace bpfwarden::test
