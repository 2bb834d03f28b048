// SPDX-License-Identifier: Apache-2.0
#include "filter/search.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <unordered_map>

namespace bpfwarden::filter {

namespace {

using Cost = std::uint64_t;
// A comparison more in the program, against one executed with weight 1.
constexpr Cost per_weight = 2, per_fork = 1;
constexpr Cost unknown = std::numeric_limits<Cost>::max();

// A few ranges, in place.
struct Few {
    static constexpr std::size_t most = 12;
    std::size_t size = 0;
    bool too_many = false;
    std::array<Range, most> ranges;

    // Neighbours with one target are one, whatever is between them.
    void add(const Range& range) {
        if (size > 0 && ranges[size - 1].target == range.target) {
            ranges[size - 1].last = range.last;
            ranges[size - 1].weight += range.weight;
        } else if (size == most) {
            too_many = true;
        } else {
            ranges[size++] = range;
        }
    }
    std::span<const Range> all() const { return {ranges.data(), size}; }
    bool operator==(const Few& other) const { return std::ranges::equal(all(), other.all()); }
};

Cost weight_of(std::span<const Range> ranges) {
    return std::accumulate(ranges.begin(), ranges.end(), Cost{0},
                           [](Cost sum, const Range& range) { return sum + range.weight; });
}

// The part of a weight that so many of its values have.
Cost share(Cost weight, std::uint64_t part, std::uint64_t whole) {
    return static_cast<Cost>(static_cast<double>(weight) * static_cast<double>(part) / static_cast<double>(whole));
}

// Few ranges: every comparison is tried, tests of bits too.
class Small {
  public:
    explicit Small(const SearchEffort& effort) : effort_(effort) {}

    Cost cost(const Few& ranges) { return ranges.size <= 1 ? 0 : states_[find(ranges)].cost; }

    // Appends what was found; returns where it begins.
    std::int32_t build(const Few& ranges, std::vector<Fork>& forks) {
        if (ranges.size == 1) return ~static_cast<std::int32_t>(ranges.ranges[0].target);
        const State state = states_[find(ranges)];
        const auto [yes, no] = parts(ranges, state.comparison, state.constant);
        const auto at = forks.size();
        forks.push_back({state.comparison, state.constant, 0, 0});
        const auto to_yes = build(yes, forks), to_no = build(no, forks);
        forks[at].yes = to_yes;
        forks[at].no = to_no;
        return static_cast<std::int32_t>(at);
    }

  private:
    struct State {
        Cost cost = unknown;
        Relation comparison{};
        std::uint32_t constant = 0;
    };
    struct Hash {
        std::size_t operator()(const Few& few) const {
            std::size_t hash = few.size;
            for (const auto& range : few.all())
                for (const std::uint64_t one :
                     {std::uint64_t{range.first} << 32 | range.last, std::uint64_t{range.target}, range.weight}) {
                    hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
                    hash ^= hash >> 29;
                }
            return hash;
        }
    };

    static std::pair<Few, Few> parts(const Few& ranges, Relation comparison, std::uint32_t k) {
        std::pair<Few, Few> sides;
        auto& [yes, no] = sides;
        for (const auto& range : ranges.all()) {
            switch (comparison) {
                case Relation::equal:
                    (range.first == k && range.last == k ? yes : no).add(range);
                    break;
                case Relation::not_less:
                    (range.first >= k ? yes : no).add(range);
                    break;
                case Relation::any_bit:
                    if (std::has_single_bit(k))
                        split_by_bit(range, k, yes, no);
                    else
                        split_by_few(range, ~k, yes, no);
                    break;
            }
        }
        return sides;
    }
    // What has the bit and what has not is both one range: what lies between never comes there.
    static void split_by_bit(const Range& range, std::uint32_t bit, Few& yes, Few& no) {
        const std::uint64_t count = std::uint64_t{range.last} - range.first + 1;
        const auto with_bit_below = [bit](std::uint64_t end) {
            const std::uint64_t period = std::uint64_t{bit} * 2, rest = end % period;
            return end / period * bit + (rest > bit ? rest - bit : 0);
        };
        const std::uint64_t with = with_bit_below(std::uint64_t{range.last} + 1) - with_bit_below(range.first);
        const std::uint32_t below = bit - 1;
        const bool first_has = (range.first & bit) != 0, last_has = (range.last & bit) != 0;
        const Cost weight = share(range.weight, with, count);
        if (with > 0)
            yes.add({first_has ? range.first : (range.first | bit) & ~below,
                     last_has ? range.last : (range.last & ~below) - 1, range.target, weight});
        if (with < count)
            no.add({first_has ? (range.first | below) + 1 : range.first,
                    last_has ? (range.last & ~below) - 1 : range.last, range.target, range.weight - weight});
    }
    // `no`: the few values that have none but the bits of `open`.
    static void split_by_few(const Range& range, std::uint32_t open, Few& yes, Few& no) {
        const std::uint64_t count = std::uint64_t{range.last} - range.first + 1;
        std::uint64_t at = range.first, with_none = 0;
        std::uint32_t value = 0;
        Few yes_here;
        const auto up_to = [&](std::uint64_t end) {
            if (end > at)
                yes_here.add({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end - 1), range.target, 0});
        };
        for (unsigned i = 0; i < 1U << std::popcount(open); ++i) {
            if (value >= range.first && value <= range.last) {
                up_to(value);
                no.add({value, value, range.target, share(range.weight, 1, count)});
                ++with_none;
                at = std::uint64_t{value} + 1;
            }
            value = ((value | ~open) + 1) & open;
        }
        up_to(std::uint64_t{range.last} + 1);
        if (yes_here.size == 0) return;
        yes_here.ranges[0].weight = share(range.weight, count - with_none, count);
        yes.add(yes_here.ranges[0]);
    }

    std::uint32_t find(const Few& ranges) {
        if (const auto at = known_.find(ranges); at != known_.end()) return at->second;
        const State found = search(ranges);
        states_.push_back(found);
        const auto id = static_cast<std::uint32_t>(states_.size() - 1);
        known_.emplace(ranges, id);
        return id;
    }
    State search(const Few& ranges) {
        State best;
        const Cost here = weight_of(ranges.all()) * per_weight + per_fork;
        const auto consider = [&](Relation comparison, std::uint32_t k) {
            if (here >= best.cost) return;
            const auto [yes, no] = parts(ranges, comparison, k);
            // Each side has less to find out, so this ends.
            if (yes.size == 0 || no.size == 0 || yes.size >= ranges.size || no.size >= ranges.size) return;
            if (yes.too_many || no.too_many) return;
            const auto least = [](const Few& few) {
                return few.size > 1 ? weight_of(few.all()) * per_weight + per_fork : 0;
            };
            if (here + least(yes) + least(no) >= best.cost) return;
            const Cost first = cost(yes);
            if (here + first + least(no) >= best.cost) return;
            const Cost sum = here + first + cost(no);
            if (sum < best.cost) best = {sum, comparison, k};
        };
        const auto all = ranges.all();
        for (const auto& range : all)
            if (range.first == range.last) consider(Relation::equal, range.first);
        for (std::size_t i = 1; i < ranges.size; ++i) consider(Relation::not_less, all[i].first);
        if (ranges.size > 2 && ranges.size <= effort_.bit_ranges) try_bits(ranges, consider);
        return best;
    }
    // Whether fewer ranges are left on each side, without making them: for most bits it is not so.
    static bool divides(const Few& ranges, int bit) {
        struct Side {
            std::size_t size = 0;
            std::uint32_t target = 0;
            void add(std::uint32_t next) {
                size += size == 0 || target != next ? 1 : 0;
                target = next;
            }
        } yes, no;
        for (const auto& range : ranges.all()) {
            const std::uint32_t first = range.first >> bit, last = range.last >> bit;
            if (first != last || (first & 1) != 0) yes.add(range.target);
            if (first != last || (first & 1) == 0) no.add(range.target);
        }
        return yes.size != 0 && no.size != 0 && yes.size < ranges.size && no.size < ranges.size;
    }
    static void try_bits(const Few& ranges, const auto& consider) {
        const auto all = ranges.all();
        // A bit above those in which the values differ tells nothing.
        const auto width = static_cast<int>(std::bit_width(all.front().first ^ all.back().last));
        for (int bit = 0; bit < width; ++bit)
            if (divides(ranges, bit)) consider(Relation::any_bit, std::uint32_t{1} << bit);
        // Values with one target that are made of few bits: none of the other bits.
        for (const auto& one : all) {
            std::uint32_t bits = 0;
            for (const auto& range : all)
                if (range.target == one.target && range.first == range.last) bits |= range.first;
            if (bits != 0 && std::popcount(bits) <= 4) consider(Relation::any_bit, ~bits);
        }
    }

    const SearchEffort effort_;
    std::unordered_map<Few, std::uint32_t, Hash> known_;
    std::vector<State> states_;
};

// Windows of the ranges, with single values taken out of them: all sets of those where they are few, else the heaviest.
class Windows {
  public:
    static constexpr std::size_t most_ranges = 96, most_singles = 64;

    Windows(std::span<const Range> ranges, const SearchEffort& effort)
        : ranges_(ranges), effort_(effort), small_(effort) {
        const std::size_t count = ranges.size();
        singles_before_.assign(count + 1, 0);
        for (std::size_t i = 0; i < count; ++i) {
            singles_before_[i + 1] = singles_before_[i];
            if (!is_single(i)) continue;
            singles_.push_back(static_cast<std::uint32_t>(i));
            ++singles_before_[i + 1];
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
    static constexpr int heavy = 12;

    // Ranges [first, end) without the singles of `taken`, a bit for each single.
    struct State {
        std::uint32_t first = 0, end = 0;
        std::uint64_t taken = 0;
    };
    enum class How : std::uint8_t { none, leaf, split, single, small };
    struct Found {
        Cost cost = unknown;
        How how = How::none;
        std::uint32_t at = 0;  // range
    };

    bool is_single(std::size_t range) const { return ranges_[range].first == ranges_[range].last; }
    bool is_taken(std::uint64_t taken, std::uint32_t range) const {
        return is_single(range) && (taken >> singles_before_[range] & 1) != 0;
    }
    std::uint32_t singles_in(const State& state) const {
        return singles_before_[state.end] - singles_before_[state.first];
    }
    bool all_sets(const State& state) const { return singles_in(state) <= effort_.singles; }

    State part_of(std::uint64_t taken, std::uint32_t first, std::uint32_t end) const {
        while (first < end && is_taken(taken, first)) ++first;
        while (first < end && is_taken(taken, end - 1)) --end;
        const auto from = singles_before_[first], count = singles_before_[end] - from;
        const std::uint64_t mask = count == 0 ? 0 : ~std::uint64_t{0} >> (64 - count) << from;
        return {first, end, taken & mask};
    }
    Few left_of(const State& state) const {
        Few left;
        for (std::uint32_t i = state.first; i < state.end; ++i)
            if (!is_taken(state.taken, i)) left.add(ranges_[i]);
        return left;
    }

    Found& entry(const State& state) {
        auto& window = windows_[state.first * (ranges_.size() + 1) + state.end];
        if (window.empty()) window.resize(all_sets(state) ? std::size_t{1} << singles_in(state) : heavy + 1);
        // Where not all sets are tried, singles are taken by their weight: how many says which.
        return window[all_sets(state) ? state.taken >> singles_before_[state.first]
                                      : static_cast<std::size_t>(std::popcount(state.taken))];
    }

    Cost cost(const State& state) {
        if (state.end - state.first <= 1) return 0;
        if (const auto& known = entry(state); known.how != How::none) return known.cost;
        const Found found = search(state);
        entry(state) = found;
        return found.cost;
    }
    Found search(const State& state) {
        // Where neighbours differ.
        std::array<std::uint32_t, most_ranges> borders{};
        std::size_t count = 0;
        Cost weight = 0;
        const Range* before = nullptr;
        for (std::uint32_t i = state.first; i < state.end; ++i) {
            if (is_taken(state.taken, i)) continue;
            weight += ranges_[i].weight;
            if (before != nullptr && before->target != ranges_[i].target) borders[count++] = i;
            before = &ranges_[i];
        }
        if (count == 0) return {0, How::leaf, state.first};
        if (count < effort_.bit_ranges) return {small_.cost(left_of(state)), How::small, state.first};
        const Cost here = weight * per_weight + per_fork;
        Found best;
        const auto consider = [&](How how, std::uint32_t at, Cost sum) {
            if (sum < best.cost) best = {sum, how, at};
        };
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t border = borders[i];
            const Cost left = here + cost(part_of(state.taken, state.first, border));
            if (left < best.cost) consider(How::split, border, left + cost(part_of(state.taken, border, state.end)));
        }
        const std::uint32_t from = singles_before_[state.first], end = singles_before_[state.end];
        if (all_sets(state)) {
            for (std::uint32_t single = from; single < end; ++single)
                if ((state.taken >> single & 1) == 0)
                    consider(How::single, singles_[single], here + cost(without(state, single)));
        } else if (std::popcount(state.taken) < heavy) {
            // One that weighs little is not worth a comparison for all others.
            for (const auto single : heaviest_) {
                if (single < from || single >= end || (state.taken >> single & 1) != 0) continue;
                if (ranges_[singles_[single]].weight * 12 >= weight)
                    consider(How::single, singles_[single], here + cost(without(state, single)));
                break;
            }
        }
        return best;
    }
    State without(const State& state, std::uint32_t single) const {
        return part_of(state.taken | std::uint64_t{1} << single, state.first, state.end);
    }

    std::int32_t build(const State& state, std::vector<Fork>& forks) {
        if (state.end - state.first == 1) return ~static_cast<std::int32_t>(ranges_[state.first].target);
        (void)cost(state);
        const Found found = entry(state);
        const auto at = forks.size();
        const auto fork = [&](Relation comparison, std::int32_t yes, std::int32_t no) {
            forks[at] = {comparison, ranges_[found.at].first, yes, no};
            return static_cast<std::int32_t>(at);
        };
        switch (found.how) {
            case How::split: {
                forks.emplace_back();
                const auto no = build(part_of(state.taken, state.first, found.at), forks);
                const auto yes = build(part_of(state.taken, found.at, state.end), forks);
                return fork(Relation::not_less, yes, no);
            }
            case How::single: {
                forks.emplace_back();
                const auto no = build(without(state, singles_before_[found.at]), forks);
                return fork(Relation::equal, ~static_cast<std::int32_t>(ranges_[found.at].target), no);
            }
            case How::small:
                return small_.build(left_of(state), forks);
            default:
                return ~static_cast<std::int32_t>(left_of(state).ranges[0].target);
        }
    }

    const std::span<const Range> ranges_;
    const SearchEffort effort_;
    Small small_;
    std::vector<std::uint32_t> singles_, singles_before_, heaviest_;
    std::vector<std::vector<Found>> windows_;
};

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

}  // namespace

Forks best_forks(std::span<const Range> ranges, const SearchEffort& effort) {
    Forks found;
    // In long lists little is to be found but their middle.
    constexpr SearchEffort little{.singles = 4, .bit_ranges = 3};
    found.root = ranges.size() <= Windows::most_ranges ? halve(ranges, Windows::most_ranges, effort, found.forks)
                                                       : halve(ranges, Windows::most_ranges / 3, little, found.forks);
    return found;
}

}  // namespace bpfwarden::filter
