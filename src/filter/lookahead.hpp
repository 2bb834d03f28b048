// SPDX-License-Identifier: Apache-2.0
// The cheapest comparisons for many ranges whose values are known by name: tests of bits are tried everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "filter/few.hpp"
#include "filter/search.hpp"

namespace bpfwarden::filter {

// A few comparisons are tried at each place: those that look best after the rest was put in order less carefully.
// So there are levels: the lowest takes what splits weights evenly; each looks at what the one below found.
class Lookahead {
  public:
    static constexpr std::size_t most_ranges = 96, most_values = 2048;

    // The values ascend. What is in a range and no value weighs nothing.
    Lookahead(std::span<const Range> ranges, std::span<const Value> values);
    // Appends what was found; returns where it begins.
    std::int32_t build(std::vector<Fork>& forks);

  private:
    static constexpr unsigned top = 2;

    struct Probe {
        Relation comparison{};
        std::uint32_t constant = 0;
    };
    struct Found {
        Cost cost = cost_unknown;
        Probe test;
    };
    struct Slice {
        std::uint32_t begin = 0, size = 0;
    };
    // Ranges that are left, and those of the values that still come; and what was found at each level.
    struct State {
        std::uint64_t hash = 0;
        Slice ranges, values;
        Cost weight = 0;
        std::array<Found, top + 1> found;
    };
    // The same before it is kept. A range's weight is that of its values.
    struct Side {
        std::vector<Range> ranges;
        std::vector<std::uint16_t> values;

        void clear();
        void add(const Range& range);
        Cost weight() const;
    };
    struct Trial {
        Probe test;
        Cost estimate = 0;
    };
    // Of a side: known at once where no more than two ranges are left.
    struct Rest {
        bool is_state = false;
        std::uint32_t state = 0;
        Cost least = 0;
    };

    std::span<const Range> ranges_of(const State& state) const {
        return std::span(kept_ranges_).subspan(state.ranges.begin, state.ranges.size);
    }
    std::span<const std::uint16_t> values_of(const State& state) const {
        return std::span(kept_values_).subspan(state.values.begin, state.values.size);
    }
    bool divide(const State& state, const Probe& test, Side& yes, Side& no) const;
    void weigh(Side& side) const;
    Cost estimate(const Side& side) const;
    std::vector<Trial> trials(std::uint32_t at);
    void narrow(std::uint32_t state, std::vector<Trial>& trials, unsigned level);

    std::uint32_t keep(const Side& side);
    Rest rest(const Side& side);
    std::pair<Rest, Rest> rests(std::uint32_t state, const Probe& test);
    Cost cost(const Rest& rest, unsigned level);
    Found find(std::uint32_t state, unsigned level);
    Found search(std::uint32_t state, unsigned level);
    std::int32_t build(const Side& side, std::vector<Fork>& forks);

    const std::vector<Value> values_;
    Cost per_range_ = 0;
    Side all_, yes_, no_;
    std::vector<Range> kept_ranges_;
    std::vector<std::uint16_t> kept_values_;
    std::vector<State> states_;
    std::vector<std::uint32_t> slots_;  // places in states_, from 1; a power of two many
    std::uint64_t steps_ = 0;
};

}  // namespace bpfwarden::filter
