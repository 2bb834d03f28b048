// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. Both are at the same place in the function, and both run.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char *of = "/sys/kernel/tracing/set_ftrace_filter",
                            *tracer = "/sys/kernel/tracing/current_tracer";
static int act(const Place&) {
    if (const int status = write_switch(of, "bpf_lsm_file_open")) return status;
    return write_switch(tracer, "function");
}
static void as_before() {
    (void)write_switch(tracer, "nop");
    (void)write_switch(of, "");
}
static const Registered vector{"switch_function_tracer",
                               {.what = "what the policy is attached to is traced (function tracer, set_ftrace_filter)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
