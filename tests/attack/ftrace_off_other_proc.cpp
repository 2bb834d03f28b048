// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. As ftrace_off: another superblock and another inode. cgroup/sysctl has the name.
#include <fcntl.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (const int status = make_stage()) return status;
    if (::mount("proc", on_stage.c_str(), "proc", 0, nullptr)) return errno;
    return write_to(::open((on_stage + "/sys/kernel/ftrace_enabled").c_str(), O_WRONLY | O_CLOEXEC), "0");
}
static const Registered vector{
    "ftrace_off_other_proc",
    {.what = "0 is written to kernel.ftrace_enabled in another proc", .act = act, .clean_up = arm_again}};

}  // namespace bpfwarden::test
