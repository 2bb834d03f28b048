// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. What is on disks is read-only afterwards, the audit log among it; bpffs has
// no disk. Seen by nothing.
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/eventually.hpp"

namespace bpfwarden::test {

static bool disk_is_read_only(const Place&) {
    struct statvfs now{};
    return ::statvfs("/bpfwarden", &now) == 0 && now.f_flag & ST_RDONLY;
}
static int act(const Place& at) {
    if (const int status = write_switch("/proc/sysrq-trigger", "u")) return status;
    return eventually(std::chrono::seconds(10), [&] { return disk_is_read_only(at); }) ? 0 : ETIMEDOUT;
}
static void writable_again() { ::mount(nullptr, "/bpfwarden", nullptr, MS_REMOUNT, nullptr); }
static const Registered vector{"sysrq_remount",
                               {.what = "all that is on disks is made read-only (sysrq u)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = disk_is_read_only,
                                .clean_up = writable_again,
                                .not_held = "no hook sees what is asked for by sysrq"}};

}  // namespace bpfwarden::test
