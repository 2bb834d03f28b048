// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: changes what one process sees. Seen by path_chroot.
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = make_stage()) return status;
    return status_of(::chroot(stage.c_str()));
}
static const Registered vector{"chroot",
                               {.what = "chroot() to where there is no bpffs", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
