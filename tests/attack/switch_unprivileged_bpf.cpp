// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/proc/sys/kernel/unprivileged_bpf_disabled";
static int act(const Place&) { return write_switch(path, "0"); }
static void as_before() { (void)write_switch(path, "2"); }
static const Registered vector{"switch_unprivileged_bpf",
                               {.what = "everybody may load BPF programs (kernel.unprivileged_bpf_disabled)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
