// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by sb_mount(path = the root of the bpffs, type "bpf", 0).
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::mount("bpf", at.mount.c_str(), "bpf", 0, nullptr)); }
static const Registered vector{
    "overmount",
    {.what = "another bpffs is mounted over it: the policy decides, its owner does not find it",
     .act = act,
     .loses = Loses::other,
     .achieved = pin_is_hidden}};

}  // namespace bpfwarden::test
