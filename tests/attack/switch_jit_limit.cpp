// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. It is for programs to come, of those without privileges.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/proc/sys/net/core/bpf_jit_limit";
static int act(const Place&) { return write_switch(path, "1"); }
static void as_before() { (void)write_switch(path, "528482304"); }
static const Registered vector{"switch_jit_limit",
                               {.what = "BPF programs may have no more memory (net.core.bpf_jit_limit)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
