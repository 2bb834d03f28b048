// SPDX-License-Identifier: Apache-2.0
#include "filter/windows.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace bpfwarden::filter {

namespace {

// Where not all sets of singles are tried, so many of the heaviest are.
constexpr int heavy = 12;
// One that weighs less, of all, is not worth a comparison for all others.
constexpr Cost light = 12;
// Nor is, where all sets are tried, one that weighs less and whose neighbours are no range together without it.
constexpr Cost light_between = 6;

}  // namespace

Windows::Windows(std::span<const Range> ranges, const SearchEffort& effort)
    : ranges_(ranges), effort_(effort), few_(effort) {
    const std::size_t count = ranges.size();
    singles_before_.assign(count + 1, 0);
    bit_of_.assign(count, 0);
    below_.assign(count + 1, 0);
    for (std::size_t i = 0; i < count; ++i) {
        if (ranges[i].first == ranges[i].last) {
            bit_of_[i] = std::uint64_t{1} << singles_.size();
            singles_.push_back(static_cast<std::uint32_t>(i));
        }
        singles_before_[i + 1] = static_cast<std::uint32_t>(singles_.size());
        below_[i + 1] = below_[i] | bit_of_[i];
    }
    heaviest_.resize(singles_.size());
    std::iota(heaviest_.begin(), heaviest_.end(), 0U);
    std::ranges::stable_sort(heaviest_, [&](std::uint32_t a, std::uint32_t b) {
        return ranges_[singles_[a]].weight > ranges_[singles_[b]].weight;
    });
    windows_.resize(count * (count + 1));
}

std::int32_t Windows::build(std::vector<Fork>& forks) {
    return build({0, static_cast<std::uint32_t>(ranges_.size()), 0}, forks);
}

Windows::State Windows::without(const State& state, std::uint32_t single) const {
    auto [first, end, taken] = state;
    taken |= std::uint64_t{1} << single;
    while (first < end && is_taken(taken, first)) ++first;
    while (first < end && is_taken(taken, end - 1)) --end;
    return {first, end, taken & below_[end] & ~below_[first]};
}

bool Windows::is_worth_one(const State& state, std::uint32_t single, Cost weight) const {
    const auto at = singles_[single];
    if (ranges_[at].weight * light_between >= weight) return true;
    if (at == state.first || at + 1 == state.end) return false;
    auto below = at - 1, above = at + 1;
    while (is_taken(state.taken, below)) --below;
    while (is_taken(state.taken, above)) ++above;
    return ranges_[below].target == ranges_[above].target;
}

Few Windows::left_of(const State& state) const {
    Few left;
    for (std::uint32_t i = state.first; i < state.end; ++i)
        if (!is_taken(state.taken, i)) left.add(ranges_[i]);
    return left;
}

std::size_t Windows::place_of(const State& state) {
    auto& window = window_of(state);
    if (!window.is_met) {
        const auto singles = singles_in(state);
        const bool all_sets = singles <= effort_.singles;
        window = {static_cast<std::uint32_t>(places_.size()), static_cast<std::uint8_t>(singles_before_[state.first]),
                  true, all_sets};
        places_.resize(places_.size() + (all_sets ? std::size_t{1} << singles : heavy + 1));
    }
    if (state.taken == 0) return window.begin;
    // Where not all sets are tried, singles are taken by their weight: how many says which.
    return window.begin +
           (window.all_sets ? state.taken >> window.below : static_cast<std::size_t>(std::popcount(state.taken)));
}

Cost Windows::cost(const State& state) {
    if (state.end - state.first <= 1) return 0;
    const auto place = place_of(state);
    if (places_[place] != 0) return found_[places_[place] - 1].cost;
    found_.push_back(search(state));
    places_[place] = static_cast<std::uint32_t>(found_.size());
    return found_.back().cost;
}

Windows::Found Windows::search(const State& state) {
    // Of all states that are being looked at: on the stack they would take too much of it.
    const std::size_t from_border = borders_.size();
    Cost weight = 0;
    std::uint32_t before = state.first;
    for (std::uint32_t i = state.first; i < state.end; ++i) {
        if (is_taken(state.taken, i)) continue;
        if (ranges_[before].target != ranges_[i].target) borders_.push_back({i, before, weight});
        weight += ranges_[i].weight;
        before = i;
    }
    const std::size_t count = borders_.size() - from_border;
    const Found found = count == 0                   ? Found{0, How::leaf, state.first}
                        : count < effort_.bit_ranges ? Found{few_.cost(left_of(state)), How::few, state.first}
                                                     : search(state, from_border, weight);
    borders_.resize(from_border);
    return found;
}

Windows::Found Windows::search(const State& state, std::size_t from_border, Cost weight) {
    const std::size_t count = borders_.size() - from_border;
    const Cost here = comparison_cost(weight);
    Found best;
    for (std::size_t i = 0; i < count; ++i) {
        const Border border = borders_[from_border + i];
        // None or one border has one cost; more have at least that.
        const Cost under = border.weight_below, over = weight - under;
        const Cost least_below = i == 0 ? 0 : comparison_cost(under);
        const Cost least_above = i + 1 == count ? 0 : comparison_cost(over);
        if (here + least_below + least_above >= best.cost) continue;
        const Cost first = here + (i <= 1 ? least_below : cost(below(state, border)));
        if (first + least_above >= best.cost) continue;
        const Cost sum = first + (i + 2 >= count ? least_above : cost(above(state, border)));
        if (sum < best.cost) best = {sum, How::split, border.after};
    }
    const auto consider_single = [&](std::uint32_t single) {
        const Cost sum = here + cost(without(state, single));
        if (sum < best.cost) best = {sum, How::single, singles_[single]};
    };
    const std::uint32_t from = singles_before_[state.first], end = singles_before_[state.end];
    if (window_of(state).all_sets) {
        for (std::uint32_t single = from; single < end; ++single)
            if ((state.taken >> single & 1) == 0 && is_worth_one(state, single, weight)) consider_single(single);
    } else if (std::popcount(state.taken) < heavy) {
        const auto heaviest = std::ranges::find_if(heaviest_, [&](std::uint32_t single) {
            return single >= from && single < end && (state.taken >> single & 1) == 0;
        });
        if (heaviest != heaviest_.end() && ranges_[singles_[*heaviest]].weight * light >= weight)
            consider_single(*heaviest);
    }
    return best;
}

std::int32_t Windows::build(const State& state, std::vector<Fork>& forks) {
    if (state.end - state.first == 1) return ~static_cast<std::int32_t>(ranges_[state.first].target);
    (void)cost(state);
    const Found found = found_[places_[place_of(state)] - 1];
    const auto at = forks.size();
    const auto fork = [&](Relation comparison, std::int32_t yes, std::int32_t no) {
        forks[at] = {comparison, ranges_[found.at].first, yes, no};
        return static_cast<std::int32_t>(at);
    };
    switch (found.how) {
        case How::split: {
            forks.emplace_back();
            Border border{.after = found.at, .before = found.at - 1};
            while (is_taken(state.taken, border.before)) --border.before;
            const auto no = build(below(state, border), forks);
            const auto yes = build(above(state, border), forks);
            return fork(Relation::not_less, yes, no);
        }
        case How::single: {
            forks.emplace_back();
            const auto no = build(without(state, singles_before_[found.at]), forks);
            return fork(Relation::equal, ~static_cast<std::int32_t>(ranges_[found.at].target), no);
        }
        case How::few:
            return few_.build(left_of(state), forks);
        default:
            return ~static_cast<std::int32_t>(ranges_[state.first].target);
    }
}

}  // namespace bpfwarden::filter
