// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/proc/sys/kernel/sched_rt_runtime_us";
static int act(const Place&) { return write_switch(path, "-1"); }
static void as_before() { (void)write_switch(path, "950000"); }
static const Registered vector{
    "switch_rt_throttling",
    {.what = "processes of real-time priorities may take all time (kernel.sched_rt_runtime_us)",
     .act = act,
     .loses = Loses::nothing,
     .clean_up = as_before}};

}  // namespace bpfwarden::test
