// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The program runs in the first mount namespace, with all capabilities, and in no domain. Its
// acts are seen as anybody's.
#include <sys/socket.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/helper.hpp"

namespace bpfwarden::test {

static constexpr const char* setting = "/proc/sys/kernel/modprobe";
static int act(const Place& at) {
    write_helper(at);
    if (const int status = write_switch(setting, helper_program)) return status;
    // Nobody has it, so the kernel asks for a module.
    (void)::socket(AF_X25, SOCK_SEQPACKET, 0);
    return helper_has_run();
}
static void as_before() { (void)write_switch(setting, "/sbin/modprobe"); }
static const Registered vector{
    "modprobe",
    {.what = "a program that the kernel starts for a module removes the pins (kernel.modprobe)",
     .act = act,
     .clean_up = as_before}};

}  // namespace bpfwarden::test
