// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. file_open comes too late; cgroup/sysctl is asked at each write.
#include <fcntl.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int opened = -1;

static int before(const Place&) {
    opened = ::open(disarming, O_WRONLY | O_CLOEXEC);
    return opened < 0 ? errno : 0;
}

static int act(const Place&) { return write_to(opened, "0"); }
static const Registered vector{
    "ftrace_off_opened_before",
    {.what = "0 is written to kernel.ftrace_enabled, which was opened before the victim was protected",
     .act = act,
     .before = before,
     .clean_up = arm_again}};

}  // namespace bpfwarden::test
