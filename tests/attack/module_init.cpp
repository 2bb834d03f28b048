// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_MODULE_SIGNATURE).
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/module.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    auto module = unsigned_module();
    return status_of(::syscall(SYS_init_module, module.data(), module.size(), ""));
}
static const Registered vector{"module_init",
                               {.what = "a kernel module without a signature is loaded (init_module)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = module_is_loaded,
                                .clean_up = unload_module}};

}  // namespace bpfwarden::test
