// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_unlink(directory, dentry of the pin).
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::unlink(at.pin("link").c_str())); }
static const Registered vector{"unlink_pin", {.what = "unlink() of the pin", .act = act}};

}  // namespace bpfwarden::test
