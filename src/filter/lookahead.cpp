// SPDX-License-Identifier: Apache-2.0
#include "filter/lookahead.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace bpfwarden::filter {

namespace {

// Up to so many ranges every comparison is tried.
constexpr std::size_t few = 6;
// Comparisons that are looked at closely, and of these, by level, those that are tried.
constexpr std::size_t close = 24;
constexpr std::array<std::size_t, 3> tried = {1, 2, 2};
// Ranges and values divided; after these only what looks best is tried.
constexpr std::uint64_t most_steps = 100'000'000;
// A value that weighs less, of all, is not asked for alone where it is in a range.
constexpr Cost heavy = 6;
// Tests of two bits are of the lower ones.
constexpr unsigned paired_bits = 9;

// With eight bits behind the point, between powers of two a straight line: the same on every machine.
Cost log2_of(Cost value) {
    const auto whole = static_cast<unsigned>(std::bit_width(value) - 1);
    const Cost part = whole >= 8 ? value >> (whole - 8) : value << (8 - whole);
    return (Cost{whole} << 8) + (part & 0xff);
}

// ---- the values of a range that have any of the bits, and those that have none: each from its first to its last

void split_by_bits(const Range& range, std::uint32_t bits, auto& yes, auto& no) {
    const int lowest = std::countr_zero(bits);
    const std::uint64_t first =
        (range.first & bits) != 0 ? range.first : ((std::uint64_t{range.first} >> lowest) + 1) << lowest;
    if (first <= range.last)
        yes.add({static_cast<std::uint32_t>(first),
                 (range.last & bits) != 0 ? range.last : ((range.last >> lowest) << lowest) - 1, range.target, 0});
    // Without the highest of its bits, and above that one more.
    std::uint64_t none = range.first;
    while (none <= range.last && (none & bits) != 0) {
        const auto above = std::bit_width(static_cast<std::uint32_t>(none) & bits);
        none = ((none >> above) + 1) << above;
    }
    if (none > range.last) return;
    std::uint32_t last = range.last;
    if (const auto had = last & bits; had != 0) {
        const std::uint32_t highest = std::bit_floor(had);
        last = (last & ~(highest | (highest - 1))) | ((highest - 1) & ~bits);
    }
    no.add({static_cast<std::uint32_t>(none), last, range.target, 0});
}

bool is_single(const Range& range) { return range.first == range.last; }

}  // namespace

void Lookahead::Side::clear() {
    ranges.clear();
    values.clear();
}

// Neighbours with one target are one, whatever is between them.
void Lookahead::Side::add(const Range& range) {
    if (!ranges.empty() && ranges.back().target == range.target) {
        ranges.back().last = range.last;
        ranges.back().weight += range.weight;
    } else {
        ranges.push_back(range);
    }
}

// A range where nothing comes weighs a little too.
Cost Lookahead::Side::weight() const {
    Cost sum = ranges.size();
    for (const auto& range : ranges) sum += range.weight;
    return sum;
}

Lookahead::Lookahead(std::span<const Range> ranges, std::span<const Value> values)
    : values_(values.begin(), values.end()) {
    Cost sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        all_.values.push_back(static_cast<std::uint16_t>(i));
        sum += values[i].weight;
    }
    for (const auto& range : ranges) all_.add(range);
    weigh(all_);
    per_range_ = comparison_cost(values.empty() ? 0 : sum / values.size());
}

std::int32_t Lookahead::build(std::vector<Fork>& forks) { return build(all_, forks); }

void Lookahead::weigh(Side& side) const {
    std::size_t next = 0;
    for (auto& range : side.ranges) {
        range.weight = 0;
        while (next < side.values.size() && values_[side.values[next]].value <= range.last)
            range.weight += values_[side.values[next++]].weight;
    }
}

// False where a side has as much to find out.
bool Lookahead::divide(const State& state, const Probe& test, Side& yes, Side& no) const {
    const auto [comparison, k] = test;
    yes.clear();
    no.clear();
    const auto ranges = ranges_of(state);
    bool is_one_of_many = false;
    for (const auto& range : ranges) {
        switch (comparison) {
            case Relation::equal:
                if (k < range.first || k > range.last) {
                    no.add(range);
                } else {
                    yes.add({k, k, range.target, range.weight});
                    is_one_of_many = !is_single(range);
                    if (is_one_of_many) no.add(range);
                }
                break;
            case Relation::not_less:
                (range.first >= k ? yes : no).add(range);
                break;
            case Relation::any_bit:
                split_by_bits(range, k, yes, no);
                break;
        }
    }
    const auto is_less = [&](const Side& side) { return !side.ranges.empty() && side.ranges.size() < ranges.size(); };
    if (!is_less(yes) || (!is_less(no) && !is_one_of_many)) return false;
    for (const auto at : values_of(state)) {
        const auto value = values_[at].value;
        const bool holds = comparison == Relation::equal      ? value == k
                           : comparison == Relation::not_less ? value >= k
                                                              : (value & k) != 0;
        (holds ? yes : no).values.push_back(at);
    }
    if (is_one_of_many || comparison == Relation::any_bit) {
        weigh(yes);
        weigh(no);
    }
    return true;
}

// What is needed at least if every range is an end of its own, and something for each.
Cost Lookahead::estimate(const Side& side) const {
    if (side.ranges.size() <= 1) return 0;
    const Cost all = side.weight();
    Cost sum = all * log2_of(all);
    for (const auto& range : side.ranges) sum -= (range.weight + 1) * log2_of(range.weight + 1);
    return sum * per_weight / 256 + (side.ranges.size() - 1) * per_range_;
}

std::vector<Lookahead::Trial> Lookahead::trials(std::uint32_t at) {
    std::vector<Trial> trials;
    const State& state = states_[at];
    const auto add = [&](Relation comparison, std::uint32_t k) {
        const Probe test{comparison, k};
        steps_ += state.ranges.size + state.values.size;
        if (divide(state, test, yes_, no_)) trials.push_back({test, estimate(yes_) + estimate(no_)});
    };
    const auto ranges = ranges_of(state);
    for (const auto& range : ranges)
        if (is_single(range)) add(Relation::equal, range.first);
    for (const auto& range : ranges.subspan(1)) add(Relation::not_less, range.first);
    // What comes very often can be asked for first, whatever is beside it.
    for (const auto value : values_of(state))
        if (values_[value].weight * heavy >= state.weight && ranges.size() > 2)
            add(Relation::equal, values_[value].value);
    // A bit above those in which the values differ tells nothing.
    const auto width = static_cast<unsigned>(std::bit_width(ranges.front().first ^ ranges.back().last));
    for (unsigned bit = 0; bit < width; ++bit) {
        const auto one = std::uint32_t{1} << bit;
        add(Relation::any_bit, one);
        for (unsigned other = bit + 1; other < std::min(width, paired_bits); ++other)
            add(Relation::any_bit, one | std::uint32_t{1} << other);
    }
    // Values with one target that are made of few bits: none of the other bits.
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const auto same_target = [&](const Range& range) { return range.target == ranges[i].target; };
        if (std::ranges::any_of(ranges.first(i), same_target)) continue;
        std::uint32_t bits = 0;
        for (const auto& range : ranges.subspan(i))
            if (same_target(range) && is_single(range)) bits |= range.first;
        if (bits != 0 && std::popcount(bits) <= 4) add(Relation::any_bit, ~bits);
    }
    return trials;
}

// To those that are tried: after each level below, those for which it finds least.
void Lookahead::narrow(std::uint32_t state, std::vector<Trial>& trials, unsigned level) {
    const auto keep_best = [&](std::size_t most) {
        std::ranges::stable_sort(trials, {}, &Trial::estimate);
        if (trials.size() > most) trials.resize(most);
    };
    if (level == 0 || steps_ > most_steps) return keep_best(1);
    keep_best(close);
    for (unsigned below = 0; below < level; ++below) {
        for (auto& trial : trials) {
            const auto [yes, no] = rests(state, trial.test);
            trial.estimate = cost(yes, below);
            trial.estimate += cost(no, below);
        }
        keep_best(below + 1 == level ? tried[level] : close / 3);
    }
}

std::uint32_t Lookahead::keep(const Side& side) {
    if (states_.size() * 2 >= slots_.size()) {
        slots_.assign(std::max<std::size_t>(slots_.size() * 4, 4096), 0);
        for (std::size_t i = 0; i < states_.size(); ++i) {
            auto slot = states_[i].hash & (slots_.size() - 1);
            while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
            slots_[slot] = static_cast<std::uint32_t>(i + 1);
        }
    }
    std::uint64_t hash = side.ranges.size();
    const auto mix = [&hash](std::uint64_t one) {
        hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    };
    for (const auto& range : side.ranges) {
        mix(std::uint64_t{range.first} << 32 | range.last);
        mix(std::uint64_t{range.target} << 48 ^ range.weight);
    }
    auto slot = hash & (slots_.size() - 1);
    for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
        const auto& state = states_[slots_[slot] - 1];
        if (state.hash == hash && std::ranges::equal(ranges_of(state), side.ranges)) return slots_[slot] - 1;
    }
    State state{.hash = hash, .ranges = {}, .values = {}, .weight = side.weight(), .found = {}};
    const auto append = [](auto& to, const auto& from) {
        const Slice slice{static_cast<std::uint32_t>(to.size()), static_cast<std::uint32_t>(from.size())};
        to.insert(to.end(), from.begin(), from.end());
        return slice;
    };
    state.ranges = append(kept_ranges_, side.ranges);
    state.values = append(kept_values_, side.values);
    states_.push_back(state);
    slots_[slot] = static_cast<std::uint32_t>(states_.size());
    return slots_[slot] - 1;
}

Lookahead::Rest Lookahead::rest(const Side& side) {
    if (side.ranges.size() <= 1) return {};
    const Cost least = comparison_cost(side.weight());
    if (side.ranges.size() == 2) return {.least = least};
    return {true, keep(side), least};
}

std::pair<Lookahead::Rest, Lookahead::Rest> Lookahead::rests(std::uint32_t state, const Probe& test) {
    (void)divide(states_[state], test, yes_, no_);
    const auto yes = rest(yes_);
    return {yes, rest(no_)};
}

Cost Lookahead::cost(const Rest& rest, unsigned level) {
    return rest.is_state ? find(rest.state, level).cost : rest.least;
}

Lookahead::Found Lookahead::find(std::uint32_t state, unsigned level) {
    // Of few ranges there is no more to be found at a higher level.
    if (states_[state].ranges.size <= few && level > 1) level = 1;
    if (const auto& known = states_[state].found[level]; known.cost != cost_unknown) return known;
    const Found found = search(state, level);
    states_[state].found[level] = found;
    return found;
}

Lookahead::Found Lookahead::search(std::uint32_t state, unsigned level) {
    auto left = trials(state);
    if (level == 0 || states_[state].ranges.size > few) narrow(state, left, level);
    const Cost here = comparison_cost(states_[state].weight);
    Found best;
    for (const auto& trial : left) {
        const auto [yes, no] = rests(state, trial.test);
        if (here + yes.least + no.least >= best.cost) continue;
        const Cost first = here + cost(yes, level);
        if (first + no.least >= best.cost) continue;
        const Cost sum = first + cost(no, level);
        if (sum < best.cost) best = {sum, trial.test};
    }
    return best;
}

std::int32_t Lookahead::build(const Side& side, std::vector<Fork>& forks) {
    const auto& ranges = side.ranges;
    if (ranges.size() == 1) return ~static_cast<std::int32_t>(ranges[0].target);
    const auto at = forks.size();
    forks.emplace_back();
    const auto finish = [&](const Probe& test, std::int32_t yes, std::int32_t no) {
        forks[at] = {test.comparison, test.constant, yes, no};
        return static_cast<std::int32_t>(at);
    };
    if (ranges.size() == 2) {
        const auto lower = ~static_cast<std::int32_t>(ranges[0].target);
        const auto upper = ~static_cast<std::int32_t>(ranges[1].target);
        if (is_single(ranges[0])) return finish({Relation::equal, ranges[0].first}, lower, upper);
        if (is_single(ranges[1])) return finish({Relation::equal, ranges[1].first}, upper, lower);
        return finish({Relation::not_less, ranges[1].first}, upper, lower);
    }
    const auto state = keep(side);
    const auto test = find(state, top).test;
    Side yes, no;
    (void)divide(states_[state], test, yes, no);
    const auto to_yes = build(yes, forks), to_no = build(no, forks);
    return finish(test, to_yes, to_no);
}

}  // namespace bpfwarden::filter
