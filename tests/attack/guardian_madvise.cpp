// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: refused, as its memory is locked. Seen by ptrace_access_check(PTRACE_MODE_READ).
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const long process = ::syscall(SYS_pidfd_open, guardian(), 0);
    const auto page = guardians_arguments() & ~0xfffL;
    const iovec its{reinterpret_cast<void*>(page), 4096};
    return status_of(::syscall(SYS_process_madvise, process, &its, 1, MADV_PAGEOUT, 0));
}
static const Registered vector{"guardian_madvise",
                               {.what = "process_madvise() pages the guard's memory out",
                                .act = act,
                                .loses = Loses::nothing,
                                .achieved = guardian_is_gone,
                                .refused_anyway = true,
                                .guardian = true}};

}  // namespace bpfwarden::test
