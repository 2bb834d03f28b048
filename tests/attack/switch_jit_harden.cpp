// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. It is for programs to come.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/proc/sys/net/core/bpf_jit_harden";
static int act(const Place&) { return write_switch(path, "2"); }
static void as_before() { (void)write_switch(path, "0"); }
static const Registered vector{"switch_jit_harden",
                               {.what = "constants of BPF programs are blinded (net.core.bpf_jit_harden)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
