// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: ENOTEMPTY, before any hook of bpffs is asked; inode_rmdir is.
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::rmdir(at.pins.c_str())); }
static const Registered vector{
    "rmdir_parents",
    {.what = "rmdir() of the directory of the pins", .act = act, .loses = Loses::nothing, .refused_anyway = true}};

}  // namespace bpfwarden::test
