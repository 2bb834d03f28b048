// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. Pins are kept.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/proc/sys/vm/drop_caches";
static int act(const Place&) { return write_switch(path, "3"); }
static void as_before() { (void)write_switch(path, "3"); }
static const Registered vector{"switch_drop_caches",
                               {.what = "what the kernel need not keep is dropped (vm.drop_caches)",
                                .act = act,
                                .loses = Loses::nothing,
                                .clean_up = as_before}};

}  // namespace bpfwarden::test
