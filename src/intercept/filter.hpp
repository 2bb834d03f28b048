// SPDX-License-Identifier: Apache-2.0
// The seccomp filter of a supervised command: which of its system calls are put to the session's worker.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace bpfwarden::intercept {

struct Caught {
    // Updates of maps, for those whose values are programs: only where the grant allows such a map.
    bool map_updates = false;
};

// Caught: the commands of bpf(2) that the broker does (wire/commands.hpp), perf_event_open(2), the ioctl(2) and
// setsockopt(2) calls that name a program or what one is attached to. Everything else is allowed without a look at its
// arguments, so that the kernel's cache of constant actions answers it (5.11). System calls of other architectures
// than this one's are refused with ENOSYS: their numbers mean other calls.
std::vector<sock_filter> filter(Caught caught);

}  // namespace bpfwarden::intercept
