// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. Trampolines are no kprobes.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/sys/kernel/debug/kprobes/enabled";
static int act(const Place&) { return write_switch(path, "0"); }
static void as_before() { (void)write_switch(path, "1"); }
static const Registered vector{"switch_kprobes_off",
                               {.what = "all kprobes are switched off (debugfs kprobes/enabled)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
