// SPDX-License-Identifier: Apache-2.0
// Which comparisons find out soonest in what range a 32-bit value lies.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "filter/graph.hpp"

namespace bpfwarden::filter {

// Values that lead to the same place. What is in no range never comes.
struct Range {
    std::uint32_t first = 0, last = 0;
    std::uint32_t target = 0;
    std::uint64_t weight = 0;
    bool operator==(const Range&) const = default;
};

// One that is known to come, and how often.
struct Value {
    std::uint32_t value = 0;
    std::uint64_t weight = 0;
};

struct Fork {
    Relation comparison{};
    std::uint32_t constant = 0;
    std::int32_t yes = 0, no = 0;  // another one, or ~target
    bool operator==(const Fork&) const = default;
};
struct Forks {
    std::vector<Fork> forks;
    std::int32_t root = 0;
    bool operator==(const Forks&) const = default;

    std::size_t executed(std::uint32_t value) const;  // comparisons
};

// How much is tried; never how long.
struct SearchEffort {
    unsigned singles = 6;     // values that are taken out one by one, in all orders
    unsigned bit_ranges = 4;  // ranges up to which tests of bits are tried, at most 10
    bool ahead = false;       // whether tests of bits are tried for any number of ranges, where values are known
};

// The ranges ascend. Weighted by executed comparisons, then by their number. `values`: what the ranges' weights come
// from, if that is known; ascending.
Forks best_forks(std::span<const Range> ranges, const SearchEffort& effort, std::span<const Value> values = {});

}  // namespace bpfwarden::filter
