// SPDX-License-Identifier: Apache-2.0
#include "filter/search.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>

namespace bpfwarden::filter {

namespace {

using Cost = std::uint64_t;
// A comparison more in the program, against one executed with weight 1.
constexpr Cost per_weight = 1, per_fork = 1;
constexpr Cost unknown = std::numeric_limits<Cost>::max();

using Ranges = std::vector<Range>;

// Neighbours with one target are one, whatever is between them.
Ranges merged(std::span<const Range> ranges) {
    Ranges now;
    for (const auto& range : ranges) {
        if (!now.empty() && now.back().target == range.target) {
            now.back().last = range.last;
            now.back().weight += range.weight;
        } else {
            now.push_back(range);
        }
    }
    return now;
}
Cost weight_of(std::span<const Range> ranges) {
    return std::accumulate(ranges.begin(), ranges.end(), Cost{0},
                           [](Cost sum, const Range& range) { return sum + range.weight; });
}

// Few ranges: every comparison is tried, tests of bits too.
class Small {
  public:
    explicit Small(const SearchEffort& effort) : effort_(effort) {}

    Cost cost(const Ranges& ranges) { return states_[find(ranges)].cost; }

    // Appends what was found; returns where it begins.
    std::int32_t build(const Ranges& ranges, std::vector<Fork>& forks) {
        if (ranges.size() == 1) return ~static_cast<std::int32_t>(ranges.front().target);
        const State state = states_[find(ranges)];
        const auto [yes, no] = parts(ranges, state.comparison, state.constant);
        const auto at = forks.size();
        forks.push_back({state.comparison, state.constant, 0, 0});
        const auto to_yes = build(yes, forks), to_no = build(no, forks);
        forks[at].yes = to_yes;
        forks[at].no = to_no;
        return static_cast<std::int32_t>(at);
    }

    // Pieces that a mask leaves of ranges are few, or there is no answer.
    static constexpr std::size_t too_many = 24;
    static constexpr std::uint32_t widest = 1024;

  private:
    struct State {
        Cost cost = unknown;
        Comparison comparison{};
        std::uint32_t constant = 0;
    };
    struct Hash {
        std::size_t operator()(const Ranges& ranges) const {
            std::size_t hash = ranges.size();
            for (const auto& range : ranges)
                for (const std::uint64_t one :
                     {std::uint64_t{range.first} << 32 | range.last, std::uint64_t{range.target}}) {
                    hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
                    hash ^= hash >> 29;
                }
            return hash;
        }
    };

    std::pair<Ranges, Ranges> parts(const Ranges& ranges, Comparison comparison, std::uint32_t k) const {
        Ranges yes, no;
        for (const auto& range : ranges) {
            switch (comparison) {
                case Comparison::equal:
                    (range.first == k && range.last == k ? yes : no).push_back(range);
                    break;
                case Comparison::not_less:
                    (range.first >= k ? yes : no).push_back(range);
                    break;
                case Comparison::any_bit:
                    split_by_bits(range, k, yes, no);
                    break;
            }
            if (yes.size() + no.size() > too_many) return {};
        }
        return {merged(yes), merged(no)};
    }
    static void split_by_bits(const Range& range, std::uint32_t k, Ranges& yes, Ranges& no) {
        if (range.first == range.last) {
            ((range.first & k) != 0 ? yes : no).push_back(range);
            return;
        }
        const std::uint64_t count = std::uint64_t{range.last} - range.first + 1;
        std::uint64_t yes_count = 0;
        Ranges yes_here, no_here;
        const auto add = [](Ranges& to, std::uint32_t first, std::uint32_t last, std::uint32_t target) {
            if (!to.empty() && to.back().last + 1 == first)
                to.back().last = last;
            else
                to.push_back({first, last, target, 0});
        };
        if (count <= widest) {
            // In steps in which the tested bits stay as they are.
            const std::uint32_t step = k & (0U - k);
            for (std::uint64_t at = range.first; at <= range.last;) {
                const std::uint64_t end = std::min<std::uint64_t>(range.last, (at | (step - 1)));
                const bool any = (at & k) != 0;
                add(any ? yes_here : no_here, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end),
                    range.target);
                if (any) yes_count += end - at + 1;
                at = end + 1;
                // Then it is cut short: the caller sees that these are too many.
                if (yes_here.size() + no_here.size() > too_many) break;
            }
        } else {
            // Few values have none of the bits.
            const std::uint32_t open = ~k;
            std::uint64_t at = range.first;
            std::uint32_t value = 0;
            for (unsigned i = 0; i < 1U << std::popcount(open); ++i) {
                if (value >= range.first && value <= range.last) {
                    if (value > at) add(yes_here, static_cast<std::uint32_t>(at), value - 1, range.target);
                    add(no_here, value, value, range.target);
                    at = std::uint64_t{value} + 1;
                }
                value = ((value | k) + 1) & open;
            }
            if (at <= range.last) add(yes_here, static_cast<std::uint32_t>(at), range.last, range.target);
            yes_count = count - no_here.size();
        }
        const Cost yes_weight = yes_count == count
                                    ? range.weight
                                    : static_cast<Cost>(static_cast<double>(range.weight) *
                                                        static_cast<double>(yes_count) / static_cast<double>(count));
        if (!yes_here.empty()) yes_here.front().weight = no_here.empty() ? range.weight : yes_weight;
        if (!no_here.empty()) no_here.front().weight = yes_here.empty() ? range.weight : range.weight - yes_weight;
        yes.insert(yes.end(), yes_here.begin(), yes_here.end());
        no.insert(no.end(), no_here.begin(), no_here.end());
    }

    std::uint32_t find(const Ranges& ranges) {
        const auto [at, is_new] = known_.try_emplace(ranges, static_cast<std::uint32_t>(states_.size()));
        const std::uint32_t id = at->second;
        if (!is_new) return id;
        states_.emplace_back();
        const State found = search(ranges);
        states_[id] = found;
        return id;
    }
    State search(const Ranges& ranges) {
        if (ranges.size() <= 1) return {.cost = 0};
        State best;
        const Cost here = weight_of(ranges) * per_weight + per_fork;
        const auto consider = [&](Comparison comparison, std::uint32_t k) {
            const auto [yes, no] = parts(ranges, comparison, k);
            if (yes.empty() || no.empty() || yes.size() + no.size() > ranges.size() + 1) return;
            // Each side has less to find out, so this ends.
            if (yes.size() > ranges.size() - (comparison == Comparison::any_bit) ||
                no.size() > ranges.size() - (comparison == Comparison::any_bit))
                return;
            if (here >= best.cost) return;
            const Cost first = cost(yes);
            if (here + first >= best.cost) return;
            const Cost sum = here + first + cost(no);
            if (sum < best.cost) best = {sum, comparison, k};
        };
        for (std::size_t i = 1; i < ranges.size(); ++i) consider(Comparison::not_less, ranges[i].first);
        for (const auto& range : ranges)
            if (range.first == range.last) consider(Comparison::equal, range.first);
        if (ranges.size() <= effort_.bit_ranges) try_bits(ranges, consider);
        return best;
    }
    void try_bits(const Ranges& ranges, const auto& consider) const {
        const std::uint32_t first = ranges.front().first, last = ranges.back().last;
        if (last - first < widest) {
            const std::uint32_t width = static_cast<unsigned>(std::bit_width(first ^ last));
            for (std::uint32_t bit = 0; bit < width; ++bit) {
                consider(Comparison::any_bit, 1U << bit);
                if (!effort_.two_bits) continue;
                for (std::uint32_t other = 0; other < bit; ++other)
                    consider(Comparison::any_bit, 1U << bit | 1U << other);
            }
        }
        // Values with one target that are made of few bits: none of the other bits.
        for (const auto& one : ranges) {
            std::uint32_t bits = 0;
            for (const auto& range : ranges)
                if (range.target == one.target && range.first == range.last) bits |= range.first;
            if (std::popcount(bits) <= 4) consider(Comparison::any_bit, ~bits);
        }
    }

    const SearchEffort effort_;
    std::unordered_map<Ranges, std::uint32_t, Hash> known_;
    std::vector<State> states_;
};

// Windows of the ranges, with single values taken out of them: all sets of those where they are few, else the heaviest.
class Windows {
  public:
    Windows(std::span<const Range> ranges, const SearchEffort& effort)
        : ranges_(ranges), effort_(effort), small_(effort) {
        const std::size_t count = ranges.size();
        sums_.assign(count + 1, 0);
        singles_before_.assign(count + 1, 0);
        for (std::size_t i = 0; i < count; ++i) {
            sums_[i + 1] = sums_[i] + ranges[i].weight;
            singles_before_[i + 1] = singles_before_[i];
            if (ranges[i].first == ranges[i].last) {
                singles_.push_back(static_cast<std::uint32_t>(i));
                ++singles_before_[i + 1];
            }
        }
        heaviest_.resize(singles_.size());
        std::iota(heaviest_.begin(), heaviest_.end(), 0U);
        std::ranges::stable_sort(heaviest_, [&](std::uint32_t a, std::uint32_t b) {
            return ranges_[singles_[a]].weight > ranges_[singles_[b]].weight;
        });
        windows_.resize(count * (count + 1));
    }

    std::int32_t build(std::vector<Fork>& forks) {
        return build({0, static_cast<std::uint32_t>(ranges_.size()), 0}, forks);
    }

  private:
    static constexpr unsigned heavy = 12;

    // Ranges [first, end), without the singles of `taken`: bits by their order, or how many of the heaviest.
    struct State {
        std::uint32_t first = 0, end = 0;
        std::uint32_t taken = 0;
    };
    enum class How : std::uint8_t { none, leaf, split, single, small };
    struct Found {
        Cost cost = unknown;
        How how = How::none;
        std::uint32_t at = 0;  // range
    };

    std::uint32_t singles_in(const State& state) const {
        return singles_before_[state.end] - singles_before_[state.first];
    }
    bool all_sets(const State& state) const { return singles_in(state) <= effort_.singles; }

    // By single, whether it is taken.
    void taken_of(const State& state, std::vector<bool>& taken) const {
        const std::uint32_t from = singles_before_[state.first], count = singles_in(state);
        taken.assign(count, false);
        if (all_sets(state)) {
            for (std::uint32_t i = 0; i < count; ++i) taken[i] = (state.taken >> i & 1) != 0;
            return;
        }
        std::uint32_t left = state.taken;
        for (const auto single : heaviest_) {
            if (left == 0) break;
            if (single < from || single >= from + count) continue;
            taken[single - from] = true;
            --left;
        }
    }
    State part_of(const State& state, const std::vector<bool>& taken, std::uint32_t first, std::uint32_t end) const {
        const std::uint32_t from = singles_before_[state.first];
        const auto is_taken = [&](std::uint32_t range) {
            return ranges_[range].first == ranges_[range].last && taken[singles_before_[range] - from];
        };
        while (first < end && is_taken(first)) ++first;
        while (first < end && is_taken(end - 1)) --end;
        State part{first, end, 0};
        const std::uint32_t begin = singles_before_[first] - from, count = singles_in(part);
        for (std::uint32_t i = 0; i < count; ++i)
            if (taken[begin + i]) part.taken += all_sets(part) ? 1U << i : 1U;
        return part;
    }
    Ranges left_of(const State& state, const std::vector<bool>& taken) const {
        const std::uint32_t from = singles_before_[state.first];
        Ranges left;
        for (std::uint32_t i = state.first; i < state.end; ++i)
            if (ranges_[i].first != ranges_[i].last || !taken[singles_before_[i] - from]) left.push_back(ranges_[i]);
        return left;
    }

    Found& entry(const State& state) {
        auto& window = windows_[state.first * (ranges_.size() + 1) + state.end];
        if (window.empty()) window.resize(all_sets(state) ? std::size_t{1} << singles_in(state) : heavy + 1);
        return window[state.taken];
    }

    Cost cost(const State& state) {
        if (state.end - state.first <= 1) return 0;
        if (const auto& known = entry(state); known.how != How::none) return known.cost;
        const Found found = search(state);
        entry(state) = found;
        return found.cost;
    }
    Found search(const State& state) {
        std::vector<bool> taken;
        taken_of(state, taken);
        const auto left = left_of(state, taken);
        const auto runs = merged(left);
        if (runs.size() <= 1) return {0, How::leaf, state.first};
        const Cost weight = weight_of(left), here = weight * per_weight + per_fork;
        Found best;
        const auto consider = [&](How how, std::uint32_t at, Cost sum) {
            if (sum < best.cost) best = {sum, how, at};
        };
        if (runs.size() <= effort_.bit_ranges) {
            consider(How::small, state.first, small_.cost(runs));
            return best;
        }
        // Between neighbours that differ.
        std::optional<std::uint32_t> target;
        const std::uint32_t from = singles_before_[state.first];
        for (std::uint32_t i = state.first; i < state.end; ++i) {
            const bool single = ranges_[i].first == ranges_[i].last;
            if (single && taken[singles_before_[i] - from]) continue;
            if (target && *target != ranges_[i].target)
                consider(
                    How::split, i,
                    here + cost(part_of(state, taken, state.first, i)) + cost(part_of(state, taken, i, state.end)));
            target = ranges_[i].target;
        }
        if (all_sets(state)) {
            for (std::uint32_t i = 0; i < singles_in(state); ++i)
                if (!taken[i]) consider(How::single, singles_[from + i], here + cost(without(state, taken, i)));
        } else if (state.taken < heavy) {
            // One that weighs little is not worth a comparison for all others.
            for (const auto single : heaviest_) {
                if (single < from || single >= from + taken.size() || taken[single - from]) continue;
                if (ranges_[singles_[single]].weight * 12 < weight) break;
                consider(How::single, singles_[single], here + cost(without(state, taken, single - from)));
                break;
            }
        }
        return best;
    }
    State without(const State& state, std::vector<bool>& taken, std::uint32_t single) const {
        taken[single] = true;
        const State left = part_of(state, taken, state.first, state.end);
        taken[single] = false;
        return left;
    }

    std::int32_t build(const State& state, std::vector<Fork>& forks) {
        if (state.end - state.first == 1) return ~static_cast<std::int32_t>(ranges_[state.first].target);
        (void)cost(state);
        const Found found = entry(state);
        std::vector<bool> taken;
        taken_of(state, taken);
        const auto at = forks.size();
        const auto fork = [&](Comparison comparison, std::int32_t yes, std::int32_t no) {
            forks[at] = {comparison, ranges_[found.at].first, yes, no};
            return static_cast<std::int32_t>(at);
        };
        switch (found.how) {
            case How::split: {
                forks.emplace_back();
                const auto no = build(part_of(state, taken, state.first, found.at), forks);
                const auto yes = build(part_of(state, taken, found.at, state.end), forks);
                return fork(Comparison::not_less, yes, no);
            }
            case How::single: {
                forks.emplace_back();
                const auto no =
                    build(without(state, taken, singles_before_[found.at] - singles_before_[state.first]), forks);
                return fork(Comparison::equal, ~static_cast<std::int32_t>(ranges_[found.at].target), no);
            }
            case How::small:
                return small_.build(merged(left_of(state, taken)), forks);
            default:
                return ~static_cast<std::int32_t>(left_of(state, taken).front().target);
        }
    }

    const std::span<const Range> ranges_;
    const SearchEffort effort_;
    Small small_;
    std::vector<Cost> sums_;
    std::vector<std::uint32_t> singles_, singles_before_, heaviest_;
    std::vector<std::vector<Found>> windows_;
};

// Where there are very many: in the middle, until they are few.
std::int32_t halve(std::span<const Range> ranges, const SearchEffort& effort, std::vector<Fork>& forks) {
    constexpr std::size_t few = 96;
    if (ranges.size() <= few) return Windows(ranges, effort).build(forks);
    const Cost half = (weight_of(ranges) + ranges.size()) / 2;
    Cost sum = 0;
    std::size_t middle = 0;
    while (middle < ranges.size() && sum + ranges[middle].weight + 1 <= half) sum += ranges[middle++].weight + 1;
    middle = std::clamp<std::size_t>(middle, 1, ranges.size() - 1);
    const auto at = forks.size();
    forks.emplace_back();
    const auto no = halve(ranges.subspan(0, middle), effort, forks);
    const auto yes = halve(ranges.subspan(middle), effort, forks);
    forks[at] = {Comparison::not_less, ranges[middle].first, yes, no};
    return static_cast<std::int32_t>(at);
}

}  // namespace

Forks best_forks(std::span<const Range> ranges, const SearchEffort& effort) {
    Forks found;
    found.root = halve(ranges, effort, found.forks);
    return found;
}

}  // namespace bpfwarden::filter
