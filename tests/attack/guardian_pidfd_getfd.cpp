// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH).
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const long process = ::syscall(SYS_pidfd_open, guardian(), 0);
    return status_of(::syscall(SYS_pidfd_getfd, process, 3, 0));
}
static const Registered vector{
    "guardian_pidfd_getfd",
    {.what = "an fd of the guard's is taken by pidfd_getfd()", .act = act, .loses = Loses::act, .guardian = true}};

}  // namespace bpfwarden::test
