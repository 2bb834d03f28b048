// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by perf_event_alloc(sigtrap, its process); neither task_kill nor ptrace_access_check is
// asked.
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    perf_event_attr counts{};
    counts.size = sizeof counts;
    counts.type = PERF_TYPE_SOFTWARE;
    counts.config = PERF_COUNT_SW_TASK_CLOCK;
    counts.sample_period = 1000;
    counts.sigtrap = counts.remove_on_exec = 1;
    if (::syscall(SYS_perf_event_open, &counts, guardian(), -1, -1, 0) < 0) return errno;
    return guardian_ends(std::chrono::seconds(20));
}
static const Registered vector{
    "guardian_perf_sigtrap",
    {.what = "SIGTRAP for the guard's process from perf, after some microseconds of its time",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_gone,
     .guardian = true}};

}  // namespace bpfwarden::test
