// SPDX-License-Identifier: Apache-2.0
// The cheapest comparisons for up to a hundred ranges: windows of them, with single values taken out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "filter/few.hpp"

namespace bpfwarden::filter {

// All sets of single values are taken out of a window where they are few, else the heaviest. Once few ranges are left,
// FewSearch goes on.
class Windows {
  public:
    static constexpr std::size_t most_ranges = 96, most_singles = 64;

    Windows(std::span<const Range> ranges, const SearchEffort& effort);
    // Appends what was found; returns where it begins.
    std::int32_t build(std::vector<Fork>& forks);

  private:
    // Ranges [first, end) without the singles of `taken`, a bit for each single. Neither end is taken.
    struct State {
        std::uint32_t first = 0, end = 0;
        std::uint64_t taken = 0;
    };
    // What was found of those with the same ends.
    struct Window {
        std::uint32_t begin = 0;  // in places_
        std::uint8_t below = 0;   // singles below it
        bool is_met = false, all_sets = false;
    };
    enum class How : std::uint8_t { leaf, split, single, few };
    struct Found {
        Cost cost = cost_unknown;
        How how = How::leaf;
        std::uint32_t at = 0;  // range
    };
    // Where neighbours differ: the range after it, the one before it that is not taken, and what is below.
    struct Border {
        std::uint32_t after = 0, before = 0;
        Cost weight_below = 0;
    };

    bool is_taken(std::uint64_t taken, std::uint32_t range) const { return (taken & bit_of_[range]) != 0; }
    std::uint32_t singles_in(const State& state) const {
        return singles_before_[state.end] - singles_before_[state.first];
    }
    Window& window_of(const State& state) { return windows_[state.first * (ranges_.size() + 1) + state.end]; }
    State below(const State& state, const Border& border) const {
        return {state.first, border.before + 1, state.taken & below_[border.before + 1]};
    }
    State above(const State& state, const Border& border) const {
        return {border.after, state.end, state.taken & ~below_[border.after]};
    }
    State without(const State& state, std::uint32_t single) const;
    bool is_worth_one(const State& state, std::uint32_t single, Cost weight) const;
    Few left_of(const State& state) const;

    std::size_t place_of(const State& state);
    Cost cost(const State& state);
    Found search(const State& state);
    Found search(const State& state, std::size_t from_border, Cost weight);
    std::int32_t build(const State& state, std::vector<Fork>& forks);

    const std::span<const Range> ranges_;
    const SearchEffort effort_;
    FewSearch few_;
    std::vector<std::uint32_t> singles_, singles_before_, heaviest_;
    std::vector<std::uint64_t> bit_of_;  // of each range's single, or none
    std::vector<std::uint64_t> below_;   // the singles below each range
    std::vector<Window> windows_;
    std::vector<Border> borders_;
    std::vector<std::uint32_t> places_;  // in found_, from 1
    std::vector<Found> found_;
};

}  // namespace bpfwarden::filter
