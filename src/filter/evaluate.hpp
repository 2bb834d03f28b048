// SPDX-License-Identifier: Apache-2.0
// From an eBPF program to the function that it computes. The program is evaluated with its input unknown, once for each
// system call of each architecture and once for all the rest; what is not safe or not pure is refused on the way, with
// the source line and the path that leads there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "bytecode/program.hpp"
#include "filter/function.hpp"
#include "filter/warning.hpp"

namespace bpfwarden::filter {

// A table of system calls. x32 numbers are in that of x86-64.
struct Architecture {
    std::uint32_t arch = 0;  // AUDIT_ARCH_…
    std::string name;
    std::vector<std::uint32_t> numbers;
};

struct EvaluateLimits {
    std::uint64_t work = 20'000'000;  // instructions, and as much for what they take to think through
    std::size_t terms = 1'000'000;
    std::size_t nodes = 200'000;
    std::size_t memory = 32'000'000;  // words of remembered states
};

struct EvaluateOptions {
    std::vector<Architecture> architectures;
    std::optional<std::uint32_t> bad_arch;  // for every other architecture; else what the program says
    EvaluateLimits limits;
};

struct Evaluated {
    Function function;
    std::vector<Warning> warnings;
    // Where in the source a condition was met first: "FILE:LINE"; conditions that others are made of are none.
    std::unordered_map<std::uint32_t, std::string> met_at;
    struct {
        std::uint64_t steps = 0, forks = 0, states = 0, shared = 0, choices = 0, work = 0;
    } statistics;
};

Result<Evaluated> evaluate(const bytecode::Program& program, const EvaluateOptions& options);

}  // namespace bpfwarden::filter
