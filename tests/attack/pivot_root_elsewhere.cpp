// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: copies alone go; pivot_root() needs a root that is not shared.
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = private_namespace()) return status;
    if (const int status = make_stage()) return status;
    return steps([] { return ::syscall(SYS_pivot_root, stage.c_str(), on_stage.c_str()); },
                 [] { return ::umount2("/empty", MNT_DETACH); });
}
static const Registered vector{"pivot_root_elsewhere",
                               {.what = "pivot_root() in another mount namespace, then umount -l of the old root",
                                .act = act,
                                .loses = Loses::nothing}};

}  // namespace bpfwarden::test
