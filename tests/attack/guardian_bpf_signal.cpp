// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_PROG_LOAD), as any program of others; the kernel signals without task_kill.
#include <bpf/libbpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    Hostile hostile("kill_guardian");
    if (hostile.load() < 0 || bpf_program__attach(hostile.program) == nullptr) return errno;
    return guardian_ends(std::chrono::seconds(20));
}
static const Registered vector{
    "guardian_bpf_signal",
    {.what = "a BPF program that runs in the guard's process sends it SIGKILL (bpf_send_signal)",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_gone,
     .guardian = true,
     .not_held = "programs of others may signal the process that they run in"}};

}  // namespace bpfwarden::test
