// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH).
#include <sys/uio.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static char name[] = "taken-over";
static bool has_another_name(const Place&) { return about_guardian("cmdline").starts_with(name); }

static int act(const Place&) {
    const iovec ours{name, sizeof name};
    const iovec its{reinterpret_cast<void*>(guardians_arguments()), sizeof name};
    return status_of(::process_vm_writev(guardian(), &ours, 1, &its, 1, 0));
}
static const Registered vector{"guardian_process_vm_writev",
                               {.what = "the guard's memory is written to by process_vm_writev()",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = has_another_name,
                                .guardian = true}};

}  // namespace bpfwarden::test
