// SPDX-License-Identifier: Apache-2.0
#include "filter/few.hpp"

#include <algorithm>
#include <bit>

namespace bpfwarden::filter {

namespace {

struct Sides {
    Few yes, no;
};

// The part of a weight that so many of its values have.
Cost share(Cost weight, std::uint64_t part, std::uint64_t whole) {
    return static_cast<Cost>(static_cast<double>(weight) * static_cast<double>(part) / static_cast<double>(whole));
}

// What has the bit and what has not is both one range: what lies between never comes there.
void split_by_bit(const Range& range, std::uint32_t bit, Sides& sides) {
    const std::uint64_t count = std::uint64_t{range.last} - range.first + 1;
    const auto with_bit_below = [bit](std::uint64_t end) {
        const std::uint64_t rest = end & (std::uint64_t{bit} * 2 - 1);
        return (end - rest) / 2 + (rest > bit ? rest - bit : 0);
    };
    const std::uint64_t with = with_bit_below(std::uint64_t{range.last} + 1) - with_bit_below(range.first);
    const std::uint32_t below = bit - 1;
    const bool first_has = (range.first & bit) != 0, last_has = (range.last & bit) != 0;
    const Cost weight = share(range.weight, with, count);
    if (with > 0)
        sides.yes.add({first_has ? range.first : (range.first | bit) & ~below,
                       last_has ? range.last : (range.last & ~below) - 1, range.target, weight});
    if (with < count)
        sides.no.add({first_has ? (range.first | below) + 1 : range.first,
                      last_has ? (range.last & ~below) - 1 : range.last, range.target, range.weight - weight});
}

// `no`: the few values that have none but the bits of `open`.
void split_by_few(const Range& range, std::uint32_t open, Sides& sides) {
    const std::uint64_t count = std::uint64_t{range.last} - range.first + 1;
    std::uint64_t at = range.first, with_none = 0;
    std::uint32_t value = 0;
    Few yes_here;
    const auto up_to = [&](std::uint64_t end) {
        if (end > at)
            yes_here.add({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end - 1), range.target, 0});
    };
    const auto values = 1U << std::popcount(open);
    for (unsigned i = 0; i < values; ++i) {
        if (value >= range.first && value <= range.last) {
            up_to(value);
            sides.no.add({value, value, range.target, share(range.weight, 1, count)});
            ++with_none;
            at = std::uint64_t{value} + 1;
        }
        value = ((value | ~open) + 1) & open;
    }
    up_to(std::uint64_t{range.last} + 1);
    if (yes_here.size() == 0) return;
    yes_here.set_weight(0, share(range.weight, count - with_none, count));
    sides.yes.add(yes_here[0]);
}

Sides sides_of(const Few& ranges, Relation comparison, std::uint32_t k) {
    Sides sides;
    for (const auto& range : ranges.all()) {
        switch (comparison) {
            case Relation::equal:
                (range.first == k && range.last == k ? sides.yes : sides.no).add(range);
                break;
            case Relation::not_less:
                (range.first >= k ? sides.yes : sides.no).add(range);
                break;
            case Relation::any_bit:
                if (std::has_single_bit(k))
                    split_by_bit(range, k, sides);
                else
                    split_by_few(range, ~k, sides);
                break;
        }
    }
    return sides;
}

// The bits by which fewer ranges are left on each side, without making them: most do not.
std::uint32_t dividing_bits(std::span<const Range> ranges) {
    // Those that some value of each range has, and that some value of each has not.
    std::uint32_t in_all = ~std::uint32_t{0}, out_of_all = in_all;
    for (const auto& range : ranges) {
        const auto differ = range.first ^ range.last;
        const auto both = differ == 0 ? 0 : ~std::uint32_t{0} >> std::countl_zero(differ);
        in_all &= range.first | both;
        out_of_all &= ~range.first | both;
    }
    return ~in_all & ~out_of_all;
}

bool is_single(const Range& range) { return range.first == range.last; }

// How many ranges are left where a bit is, and where it is not.
std::pair<std::size_t, std::size_t> sizes_by_bit(std::span<const Range> ranges, std::uint32_t bit) {
    struct Side {
        std::size_t size = 0;
        std::uint32_t target = 0;
        void add(std::uint32_t next) {
            size += size == 0 || target != next ? 1 : 0;
            target = next;
        }
    } yes, no;
    for (const auto& range : ranges) {
        const bool has_both = (range.first ^ range.last) >= bit;
        if (has_both || (range.first & bit) != 0) yes.add(range.target);
        if (has_both || (range.first & bit) == 0) no.add(range.target);
    }
    return {yes.size, no.size};
}

// What one comparison decides or leaves as one more comparison.
constexpr Cost least_cost(std::size_t size, Cost weight) { return size > 1 ? comparison_cost(weight) : 0; }

}  // namespace

// Every comparison of the ranges, and the best of them.
class FewSearch::Trial {
  public:
    Trial(FewSearch& search, const Few& ranges)
        : search_(search), ranges_(ranges), weight_(ranges.weight()), here_(comparison_cost(weight_)) {}

    Choice run(unsigned bit_ranges) {
        const std::size_t size = ranges_.size();
        for (std::size_t i = 0; i < size; ++i)
            if (is_single(ranges_[i])) try_equal(i);
        Cost below = 0;
        for (std::size_t i = 1; i < size; ++i) {
            below += ranges_[i - 1].weight;
            try_simple(Relation::not_less, ranges_[i].first, size - i, weight_ - below, i, below);
        }
        if (size > 2 && size <= bit_ranges) try_bits();
        return best_;
    }

  private:
    void try_equal(std::size_t at) {
        const bool between = at > 0 && at + 1 < ranges_.size();
        const bool joins = between && ranges_[at - 1].target == ranges_[at + 1].target;
        try_simple(Relation::equal, ranges_[at].first, 1, ranges_[at].weight, ranges_.size() - (joins ? 2 : 1),
                   weight_ - ranges_[at].weight);
    }
    // How much is on its sides is known beforehand.
    void try_simple(Relation comparison, std::uint32_t k, std::size_t yes, Cost yes_weight, std::size_t no,
                    Cost no_weight) {
        const Cost least = here_ + least_cost(yes, yes_weight) + least_cost(no, no_weight);
        if (least >= best_.cost) return;
        if (yes <= 2 && no <= 2)
            best_ = {least, comparison, k};
        else
            consider(comparison, k);
    }
    void try_bits() {
        const auto all = ranges_.all();
        for (auto bits = dividing_bits(all); bits != 0; bits &= bits - 1) {
            const auto bit = bits & (~bits + 1);
            const auto [yes, no] = sizes_by_bit(all, bit);
            // One more comparison for either side is one for all.
            const Cost least = yes == 1 && no == 1 ? 0
                               : yes > 1 && no > 1 ? comparison_cost(weight_) + per_fork
                                                   : per_fork;
            if (here_ + least < best_.cost) consider(Relation::any_bit, bit);
        }
        // Values with one target that are made of few bits: none of the other bits.
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto same_target = [&](const Range& range) { return range.target == all[i].target; };
            if (std::ranges::any_of(all.first(i), same_target)) continue;
            std::uint32_t bits = 0;
            for (const auto& range : all.subspan(i))
                if (same_target(range) && is_single(range)) bits |= range.first;
            if (bits != 0 && std::popcount(bits) <= 4) consider(Relation::any_bit, ~bits);
        }
    }
    void consider(Relation comparison, std::uint32_t k) {
        if (here_ >= best_.cost) return;
        const auto [yes, no] = sides_of(ranges_, comparison, k);
        // Each side has less to find out, so this ends.
        if (yes.size() == 0 || no.size() == 0 || yes.size() >= ranges_.size() || no.size() >= ranges_.size()) return;
        if (yes.too_many() || no.too_many()) return;
        const Cost least_no = least_cost(no.size(), no.weight());
        if (here_ + least_cost(yes.size(), yes.weight()) + least_no >= best_.cost) return;
        const Cost first = here_ + search_.cost(yes);
        if (first + least_no >= best_.cost) return;
        const Cost sum = first + search_.cost(no);
        if (sum < best_.cost) best_ = {sum, comparison, k};
    }

    FewSearch& search_;
    const Few& ranges_;
    const Cost weight_, here_;
    Choice best_;
};

Cost FewSearch::cost(const Few& ranges) {
    return ranges.size() <= 2 ? least_cost(ranges.size(), ranges.weight()) : choose(ranges).cost;
}

FewSearch::Choice FewSearch::choose(const Few& ranges) {
    if (ranges.size() <= 2) return Trial(*this, ranges).run(effort_.bit_ranges);
    if (known_.size() * 2 >= slots_.size()) grow();
    const auto all = ranges.all();
    std::uint64_t hash = all.size();
    const auto mix = [&hash](std::uint64_t one) {
        hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    };
    for (const auto& range : all) {
        mix(std::uint64_t{range.first} << 32 | range.last);
        mix(std::uint64_t{range.target} << 48 ^ range.weight);
    }
    if (const auto at = slots_[slot_of(hash, all)]; at != 0) return known_[at - 1].choice;
    const Choice found = Trial(*this, ranges).run(effort_.bit_ranges);
    if (known_.size() * 2 >= slots_.size()) grow();
    known_.push_back({hash, static_cast<std::uint32_t>(kept_.size()), static_cast<std::uint32_t>(all.size()), found});
    kept_.insert(kept_.end(), all.begin(), all.end());
    slots_[slot_of(hash, all)] = static_cast<std::uint32_t>(known_.size());
    return found;
}

std::size_t FewSearch::slot_of(std::uint64_t hash, std::span<const Range> ranges) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = hash >> 20 & mask;; slot = (slot + 1) & mask) {
        if (slots_[slot] == 0) return slot;
        const auto& known = known_[slots_[slot] - 1];
        if (known.hash == hash && std::ranges::equal(ranges, std::span(kept_).subspan(known.begin, known.size)))
            return slot;
    }
}

void FewSearch::grow() {
    slots_.assign(std::max<std::size_t>(slots_.size() * 2, 1024), 0);
    for (std::size_t i = 0; i < known_.size(); ++i) {
        const auto& known = known_[i];
        slots_[slot_of(known.hash, std::span(kept_).subspan(known.begin, known.size))] =
            static_cast<std::uint32_t>(i + 1);
    }
}

std::int32_t FewSearch::build(const Few& ranges, std::vector<Fork>& forks) {
    if (ranges.size() == 1) return ~static_cast<std::int32_t>(ranges[0].target);
    const Choice choice = choose(ranges);
    const auto [yes, no] = sides_of(ranges, choice.comparison, choice.constant);
    const auto at = forks.size();
    forks.push_back({choice.comparison, choice.constant, 0, 0});
    const auto to_yes = build(yes, forks), to_no = build(no, forks);
    forks[at].yes = to_yes;
    forks[at].no = to_no;
    return static_cast<std::int32_t>(at);
}

}  // namespace bpfwarden::filter
