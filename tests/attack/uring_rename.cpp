// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename, as from renameat().
#include "attack/attack.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return -Uring().rename(at.pin("refused"), at.pin("link")); }
static const Registered vector{"uring_rename", {.what = "io_uring renames another pin onto the pin", .act = act}};

}  // namespace bpfwarden::test
