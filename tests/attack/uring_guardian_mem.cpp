// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH) at the open.
#include <fcntl.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int memory = Uring().open("/proc/" + std::to_string(guardian()) + "/mem", 0, O_RDWR);
    return memory < 0 ? -memory : 0;
}
static const Registered vector{
    "uring_guardian_mem",
    {.what = "io_uring opens the guard's memory for writing", .act = act, .loses = Loses::act, .guardian = true}};

}  // namespace bpfwarden::test
