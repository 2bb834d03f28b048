// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by cgroup/sysctl, in a thread of the process.
#include <fcntl.h>
#include <linux/io_uring.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    Uring ring;
    const int file = ring.open(disarming, IOSQE_ASYNC, O_WRONLY);
    return file < 0 ? -file : -ring.write(file, "0", IOSQE_ASYNC);
}
static const Registered vector{"uring_ftrace_off_worker",
                               {.what = "io_uring writes 0 to kernel.ftrace_enabled in a worker thread (IOSQE_ASYNC)",
                                .act = act,
                                .clean_up = arm_again}};

}  // namespace bpfwarden::test
