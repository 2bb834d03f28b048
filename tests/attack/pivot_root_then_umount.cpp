// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_mount(/, MS_PRIVATE | MS_REC), which has to come first; sb_pivotroot(old = where
// the old root goes, new); sb_umount(the old root alone, MNT_DETACH).
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = make_stage()) return status;
    return steps([] { return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr); },
                 [] { return ::syscall(SYS_pivot_root, stage.c_str(), on_stage.c_str()); },
                 [] { return ::umount2("/empty", MNT_DETACH); });
}
static const Registered vector{"pivot_root_then_umount",
                               {.what = "pivot_root(), then umount -l of the old root", .act = act}};

}  // namespace bpfwarden::test
