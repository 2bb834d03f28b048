// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. Both are at the same place in the function, and both run.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char *events = "/sys/kernel/tracing/kprobe_events",
                            *enable = "/sys/kernel/tracing/events/kprobes/hostile/enable";
static int act(const Place&) {
    if (const int status = write_switch(events, "p:hostile bpf_lsm_file_open")) return status;
    return write_switch(enable, "1");
}
static void as_before() {
    (void)write_switch(enable, "0");
    (void)write_switch(events, "");
}
static const Registered vector{"switch_kprobe",
                               {.what = "a kprobe is put onto what the policy is attached to (kprobe_events)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
