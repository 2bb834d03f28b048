// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. Refused by kernels that have nothing else; programs that are loaded are
// compiled.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/proc/sys/net/core/bpf_jit_enable";
static int act(const Place&) { return write_switch(path, "0"); }
static void as_before() { (void)write_switch(path, "1"); }
static const Registered vector{"switch_jit_off",
                               {.what = "the compiler of BPF programs is switched off (net.core.bpf_jit_enable)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
