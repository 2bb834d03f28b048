// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by cgroup/sysctl, in a thread of the process.
#include <fcntl.h>
#include <linux/io_uring.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    Uring ring(IORING_SETUP_SQPOLL);
    const int file = ring.open(disarming, 0, O_WRONLY);
    return file < 0 ? -file : -ring.write(file, "0", 0);
}
static const Registered vector{
    "uring_ftrace_off_polled",
    {.what = "io_uring writes 0 to kernel.ftrace_enabled in a thread of the kernel (IORING_SETUP_SQPOLL)",
     .act = act,
     .clean_up = arm_again}};

}  // namespace bpfwarden::test
