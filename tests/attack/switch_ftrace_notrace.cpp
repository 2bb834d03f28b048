// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. It is the list of one tracer; trampolines have their own.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/sys/kernel/tracing/set_ftrace_notrace";
static int act(const Place&) { return write_switch(path, "bpf_lsm_file_open"); }
static void as_before() { (void)write_switch(path, ""); }
static const Registered vector{
    "switch_ftrace_notrace",
    {.what = "what the policy is attached to is taken from what is traced (set_ftrace_notrace)",
     .act = act,
     .loses = Loses::nothing,
     .clean_up = as_before}};

}  // namespace bpfwarden::test
