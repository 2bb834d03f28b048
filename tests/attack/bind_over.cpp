// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_mount(path = the directory of the pins, MS_BIND).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    return status_of(::mount(on_stage.c_str(), at.pins.c_str(), nullptr, MS_BIND, nullptr));
}
static const Registered vector{
    "bind_over",
    {.what = "a directory is bound over the pins: the policy decides, its owner does not find it",
     .act = act,
     .loses = Loses::other,
     .achieved = pin_is_hidden}};

}  // namespace bpfwarden::test
