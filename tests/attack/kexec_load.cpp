// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_KEXEC).
#include <linux/kexec.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/kexec.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    static const char code[4096] = "\xf4";
    const kexec_segment segment{code, sizeof code, reinterpret_cast<void*>(0x1000000), sizeof code};
    return status_of(::syscall(SYS_kexec_load, 0x1000000, 1, &segment, KEXEC_ARCH_DEFAULT));
}
static const Registered vector{"kexec_load",
                               {.what = "another kernel is loaded, to be started without a restart (kexec_load)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = kexec_is_loaded,
                                .clean_up = unload_kexec}};

}  // namespace bpfwarden::test
