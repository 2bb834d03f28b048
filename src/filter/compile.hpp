// SPDX-License-Identifier: Apache-2.0
// A filter as a function becomes a classic program that any kernel takes.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "filter/function.hpp"

namespace bpfwarden::filter {

// The numbers that an architecture has.
struct NumberTable {
    std::uint32_t arch = 0;
    std::vector<std::uint32_t> numbers;
};

// How often a system call is made, against others. What has none is taken to be never made.
struct Weight {
    std::uint32_t arch = 0, nr = 0;
    std::uint64_t weight = 0;
    bool operator==(const Weight&) const = default;
};
using Weights = std::vector<Weight>;

// Every number of the tables alike.
Weights uniform_weights(std::span<const NumberTable> tables);
// Those whose arguments are looked at count most, refused ones little. Those that the kernel's cache answers (5.11)
// not at all, unless `cached_too`: then as much as most do.
Weights usual_weights(const Function& function, std::span<const NumberTable> tables, bool cached_too);

enum class Effort : std::uint8_t { quick, normal, high };

struct CompileOptions {
    Weights weights;
    Effort effort = Effort::normal;
};

struct Compiled {
    std::vector<sock_filter> program;
    std::size_t converted_length = 0;  // of the eBPF that the kernel makes of it
    // Residuals with arguments, the largest first: instructions that each takes alone.
    struct Part {
        std::uint32_t arch = 0, first = 0, last = 0;
        std::size_t instructions = 0;
        bool operator==(const Part&) const = default;
    };
    std::vector<Part> largest;
};

// The same bytes for the same function and options. A number that is always allowed is decided by what the kernel's
// cache understands, and arguments are looked at only once the number is known. Fails (unsupported) where a limit is
// reached, and says which numbers need how much.
Result<Compiled> compile(const Function& function, const CompileOptions& options = {});

}  // namespace bpfwarden::filter
