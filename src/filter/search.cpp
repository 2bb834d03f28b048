// SPDX-License-Identifier: Apache-2.0
#include "filter/search.hpp"

#include <algorithm>
#include <numeric>

#include "filter/lookahead.hpp"
#include "filter/windows.hpp"

namespace bpfwarden::filter {

namespace {

Cost weight_of(std::span<const Range> ranges) {
    return std::accumulate(ranges.begin(), ranges.end(), Cost{0},
                           [](Cost sum, const Range& range) { return sum + range.weight; });
}

// Where there are very many: what comes very often first, then in the middle, until they are few.
std::int32_t halve(std::span<const Range> ranges, std::size_t most, const SearchEffort& effort,
                   std::vector<Fork>& forks) {
    const auto is_single = [](const Range& one) { return one.first == one.last; };
    const auto singles = static_cast<std::size_t>(std::ranges::count_if(ranges, is_single));
    if (ranges.size() <= most && singles <= Windows::most_singles) return Windows(ranges, effort).build(forks);
    const Cost weight = weight_of(ranges);
    const auto at = forks.size();
    forks.emplace_back();
    const auto heaviest = std::ranges::max_element(ranges, {}, &Range::weight);
    if (is_single(*heaviest) && heaviest->weight * 4 >= weight) {
        std::vector<Range> others(ranges.begin(), heaviest);
        others.insert(others.end(), heaviest + 1, ranges.end());
        const auto no = halve(others, most, effort, forks);
        forks[at] = {Relation::equal, heaviest->first, ~static_cast<std::int32_t>(heaviest->target), no};
        return static_cast<std::int32_t>(at);
    }
    const Cost half = (weight + ranges.size()) / 2;
    Cost sum = 0;
    std::size_t middle = 0;
    while (middle < ranges.size() && sum + ranges[middle].weight + 1 <= half) sum += ranges[middle++].weight + 1;
    middle = std::clamp<std::size_t>(middle, 1, ranges.size() - 1);
    const auto no = halve(ranges.subspan(0, middle), most, effort, forks);
    const auto yes = halve(ranges.subspan(middle), most, effort, forks);
    forks[at] = {Relation::not_less, ranges[middle].first, yes, no};
    return static_cast<std::int32_t>(at);
}

// As the ranges are weighed, but by the values themselves.
Cost cost_of(const Forks& forks, std::span<const Range> ranges, std::span<const Value> values) {
    Cost sum = forks.forks.size() * per_fork;
    for (const auto& range : ranges) sum += forks.executed(range.first) * per_weight;
    for (const auto& [value, weight] : values) sum += forks.executed(value) * weight * per_weight;
    return sum;
}

}  // namespace

std::size_t Forks::executed(std::uint32_t value) const {
    std::size_t count = 0;
    for (std::int32_t at = root; at >= 0; ++count) {
        const auto& fork = forks[static_cast<std::size_t>(at)];
        at = Test{{}, fork.comparison, 0xffffffff, fork.constant}.holds(value) ? fork.yes : fork.no;
    }
    return count;
}

Forks best_forks(std::span<const Range> ranges, const SearchEffort& effort, std::span<const Value> values) {
    Forks found;
    // In long lists little is to be found but their middle.
    constexpr SearchEffort little{.singles = 4, .bit_ranges = 3};
    found.root = ranges.size() <= Windows::most_ranges ? halve(ranges, Windows::most_ranges, effort, found.forks)
                                                       : halve(ranges, Windows::most_ranges / 3, little, found.forks);
    if (!effort.ahead || values.empty() || values.size() > Lookahead::most_values ||
        ranges.size() > Lookahead::most_ranges)
        return found;
    Forks ahead;
    ahead.root = Lookahead(ranges, values).build(ahead.forks);
    return cost_of(ahead, ranges, values) < cost_of(found, ranges, values) ? ahead : found;
}

}  // namespace bpfwarden::filter
