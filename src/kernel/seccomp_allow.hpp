// SPDX-License-Identifier: Apache-2.0
// A process's own last wall: a list of system calls, everything else answered with EPERM.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"

namespace bpfwarden::kernel {

struct AllowedCall {
    unsigned number = 0;
    // Only where (argument & mask) == value; argument 6: no condition. The lower 32 bits of an argument are compared,
    // which is all that the kernel takes of an int.
    unsigned argument = 6;
    std::uint32_t mask = 0, value = 0;
};

// For this thread and all it makes from now on, for good: no_new_privs and a seccomp filter. Several entries with one
// number are alternatives. At most 100 entries.
Result<> allow_only(std::span<const AllowedCall> calls);

}  // namespace bpfwarden::kernel
