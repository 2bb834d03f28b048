// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_unlink, in a thread of the process.
#include <linux/io_uring.h>

#include "attack/attack.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return -Uring(IORING_SETUP_SQPOLL).remove(at.pin("link")); }
static const Registered vector{
    "uring_unlink_polled",
    {.what = "io_uring unlinks the pin in a thread of the kernel (IORING_SETUP_SQPOLL)", .act = act}};

}  // namespace bpfwarden::test
