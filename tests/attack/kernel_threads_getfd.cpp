// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH | PTRACE_MODE_REALCREDS) of a kernel thread.
#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

// Process 2 starts all threads of the kernel, and they share its descriptors.
static int act(const Place&) {
    const int threads = static_cast<int>(::syscall(SYS_pidfd_open, 2, 0));
    for (int fd = 0; fd < 256; ++fd) {
        const int copy = static_cast<int>(::syscall(SYS_pidfd_getfd, threads, fd, 0));
        if (copy >= 0) {
            ::bpf_link_detach(copy);
            return 0;
        }
        // There is none of that number: whoever asks while there is one gets it.
        if (errno != EBADF) return errno;
    }
    return 0;
}
static const Registered vector{"kernel_threads_getfd",
                               {.what = "copies of what kernel threads have open by pidfd_getfd(), as their links",
                                .act = act,
                                .loses = Loses::act}};

}  // namespace bpfwarden::test
