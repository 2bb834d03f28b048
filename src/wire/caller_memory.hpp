// SPDX-License-Identifier: Apache-2.0
// Where the arguments of a call are: in this process, or in one whose system call waits for an answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "wire/bytes.hpp"

namespace bpfwarden::wire {

class CallerMemory {
  public:
    virtual ~CallerMemory() = default;
    // All of it, or an Error with the kernel's number (EFAULT).
    virtual Result<> read(std::uint64_t address, std::span<std::byte> to) const = 0;
    virtual Result<> write(std::uint64_t address, Bytes from) const = 0;
    // Up to a NUL, which is not part of it, and at most `most` bytes.
    virtual Result<std::string> text(std::uint64_t address, std::size_t most) const = 0;
};

// This process's own, where a wrong address ends it, as in any library.
const CallerMemory& own_memory();

}  // namespace bpfwarden::wire
