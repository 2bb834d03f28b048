// SPDX-License-Identifier: Apache-2.0
// An interpreter of eBPF programs that compute something from a context and constant data (RFC 9669). It is written for
// clarity and used as an oracle: it shares no code with what evaluates programs otherwise, and it refuses every access
// that is not to memory which is there and was written, so it also tells whether a program that was accepted is safe.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "bytecode/program.hpp"

namespace bpfwarden::bytecode {

// The context is read-only and aligned accesses to it are the only ones. What it returns is r0.
Result<std::uint64_t> interpret(const Program& program, std::span<const std::uint8_t> context,
                                std::uint64_t steps = 1'000'000, std::vector<std::uint32_t>* path = nullptr);

}  // namespace bpfwarden::bytecode
