// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename of the directory; no hook has the pin itself.
#include <cstdio>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::rename(at.pins.c_str(), (at.pins + "_elsewhere").c_str())); }
static const Registered vector{
    "rename_directory",
    {.what = "the directory of the pins is renamed: the policy decides, its owner does not find it",
     .act = act,
     .loses = Loses::other,
     .achieved = pin_is_hidden}};

}  // namespace bpfwarden::test
