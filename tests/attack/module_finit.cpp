// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_MODULE_SIGNATURE).
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "attack/attack.hpp"
#include "attack/module.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const char* path = "/tmp/module.ko";
    std::ofstream(path) << unsigned_module();
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    const int status = status_of(::syscall(SYS_finit_module, file, "", 0));
    ::unlink(path);
    return status;
}
static const Registered vector{"module_finit",
                               {.what = "a kernel module without a signature is loaded from a file (finit_module)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = module_is_loaded,
                                .clean_up = unload_module}};

}  // namespace bpfwarden::test
