// SPDX-License-Identifier: Apache-2.0
// The cheapest comparisons for a few ranges: every one is tried, tests of bits too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "filter/search.hpp"

namespace bpfwarden::filter {

using Cost = std::uint64_t;
// A comparison more in the program, against one executed with weight 1.
constexpr Cost per_weight = 2, per_fork = 1;
constexpr Cost cost_unknown = ~Cost{0};

// Of one comparison of all that weighs so much.
constexpr Cost comparison_cost(Cost weight) { return weight * per_weight + per_fork; }

// A few ranges, in place.
class Few {
  public:
    static constexpr std::size_t most = 12;

    // Neighbours with one target are one, whatever is between them.
    void add(const Range& range) {
        if (size_ > 0 && ranges_[size_ - 1].target == range.target) {
            ranges_[size_ - 1].last = range.last;
            ranges_[size_ - 1].weight += range.weight;
        } else if (size_ == most) {
            too_many_ = true;
        } else {
            ranges_[size_++] = range;
        }
    }
    std::size_t size() const { return size_; }
    bool too_many() const { return too_many_; }
    std::span<const Range> all() const { return {ranges_.data(), size_}; }
    const Range& operator[](std::size_t at) const { return ranges_[at]; }
    Cost weight() const {
        Cost sum = 0;
        for (const auto& range : all()) sum += range.weight;
        return sum;
    }
    // Where the weight of what was put together is known better than as their sum.
    void set_weight(std::size_t at, Cost weight) { ranges_[at].weight = weight; }

  private:
    std::size_t size_ = 0;
    bool too_many_ = false;
    std::array<Range, most> ranges_;
};

class FewSearch {
  public:
    explicit FewSearch(const SearchEffort& effort) : effort_(effort) {}

    Cost cost(const Few& ranges);
    // Appends what was found; returns where it begins.
    std::int32_t build(const Few& ranges, std::vector<Fork>& forks);

  private:
    struct Choice {
        Cost cost = cost_unknown;
        Relation comparison{};
        std::uint32_t constant = 0;
    };
    // Ranges that were looked at, in `kept_`, and what was found.
    struct Known {
        std::uint64_t hash = 0;
        std::uint32_t begin = 0, size = 0;
        Choice choice;
    };
    class Trial;

    Choice choose(const Few& ranges);
    std::size_t slot_of(std::uint64_t hash, std::span<const Range> ranges) const;
    void grow();

    const SearchEffort effort_;
    std::vector<Range> kept_;
    std::vector<Known> known_;
    std::vector<std::uint32_t> slots_;  // places in known_, from 1; a power of two many
};

}  // namespace bpfwarden::filter
