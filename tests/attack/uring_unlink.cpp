// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_unlink, in the same process; with IOSQE_ASYNC in a worker thread of it.
#include "attack/attack.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return -Uring().remove(at.pin("link")); }
static const Registered vector{"uring_unlink", {.what = "io_uring unlinks the pin", .act = act}};

}  // namespace bpfwarden::test
