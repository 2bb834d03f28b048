// SPDX-License-Identifier: Apache-2.0
#include "filter/bdd.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_set>

namespace bpfwarden::filter {

// The upper half of an argument decides before the lower.
static constexpr std::array<Word, word_count> order{Word::arch,      Word::nr,       Word::arg0_high, Word::arg0_low,
                                                    Word::arg1_high, Word::arg1_low, Word::arg2_high, Word::arg2_low,
                                                    Word::arg3_high, Word::arg3_low, Word::arg4_high, Word::arg4_low,
                                                    Word::arg5_high, Word::arg5_low, Word::ip_high,   Word::ip_low};

unsigned Diagrams::variable(Word word, unsigned bit) {
    static constexpr auto places = [] {
        std::array<unsigned, word_count> made{};
        for (unsigned i = 0; i < word_count; ++i) made[static_cast<std::size_t>(order[i])] = i;
        return made;
    }();
    return places[static_cast<std::size_t>(word)] * 32 + (31 - bit);
}

static std::size_t hash(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    std::uint64_t mixed = (std::uint64_t{a} << 32 | b) * 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ mixed >> 29 ^ c) * 0xbf58476d1ce4e5b9U;
    return mixed ^ mixed >> 32;
}

// Small at first: most filters are.
Diagrams::Diagrams(std::size_t most_nodes)
    : most_(most_nodes), steps_left_(16 * most_nodes), slots_(std::size_t{1} << 12), chosen_(std::size_t{1} << 14) {
    // Slot numbers count from one, so the first is never in the table; it is the end 0, which nobody makes again.
    nodes_.push_back({no_variable, 0, 0});
    (void)end(1);
}

std::size_t Diagrams::slot_of(const Inner& inner) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash(inner.variable, inner.low, inner.high) & mask;
    while (slots_[at] != 0 && nodes_[slots_[at]] != inner) at = (at + 1) & mask;
    return at;
}

void Diagrams::grow() {
    slots_.assign(2 * slots_.size(), 0);
    for (std::uint32_t id = 1; id < nodes_.size(); ++id) slots_[slot_of(nodes_[id])] = id;
    // More to remember, too; what was remembered is found again.
    const auto remembered = std::max(std::min(4 * slots_.size(), std::size_t{1} << 16), slots_.size());
    if (chosen_.size() < remembered) chosen_.assign(remembered, {});
}

Diagram Diagrams::keep(const Inner& inner) {
    const auto at = slot_of(inner);
    if (slots_[at] != 0) return {slots_[at]};
    if (nodes_.size() >= most_) {
        full_ = true;
        return {};
    }
    const auto id = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back(inner);
    slots_[at] = id;
    if (2 * nodes_.size() > slots_.size()) grow();
    return {id};
}

Diagram Diagrams::end(std::uint32_t value) { return value == 0 ? Diagram{} : keep({no_variable, value, 0}); }

Diagram Diagrams::make(std::uint32_t variable, Diagram low, Diagram high) {
    return low == high ? low : keep({variable, low.id, high.id});
}

Diagram Diagrams::bit(Word word, unsigned number) { return make(variable(word, number), truth(false), truth(true)); }

// As deep as there are variables.
Diagram Diagrams::choose(Diagram condition, Diagram yes, Diagram no) {
    if (full_) return {};
    if (condition == truth(true) || yes == no) return yes;
    if (condition == truth(false)) return no;
    if (yes == truth(true) && no == truth(false)) return condition;
    const std::size_t slot = hash(condition.id, yes.id, no.id) & (chosen_.size() - 1);
    if (const auto& known = chosen_[slot]; known.condition == condition.id && known.yes == yes.id && known.no == no.id)
        return {known.result};
    if (steps_left_-- == 0) {
        full_ = true;
        return {};
    }
    const Inner c = nodes_[condition.id], y = nodes_[yes.id], n = nodes_[no.id];
    const auto top = std::min({c.variable, y.variable, n.variable});
    const auto low = [top](Diagram whole, const Inner& inner) {
        return inner.variable == top ? Diagram{inner.low} : whole;
    };
    const auto high = [top](Diagram whole, const Inner& inner) {
        return inner.variable == top ? Diagram{inner.high} : whole;
    };
    const auto zero = choose(low(condition, c), low(yes, y), low(no, n));
    const auto one = choose(high(condition, c), high(yes, y), high(no, n));
    const auto made = make(top, zero, one);
    if (!full_)
        chosen_[hash(condition.id, yes.id, no.id) & (chosen_.size() - 1)] = {condition.id, yes.id, no.id, made.id};
    return made;
}

std::uint32_t Diagrams::evaluate(Diagram diagram, const Data& data) const {
    for (;;) {
        const auto& node = nodes_[diagram.id];
        if (node.variable == no_variable) return node.low;
        const bool set = data[order[node.variable / 32]] >> (31 - node.variable % 32) & 1;
        diagram = {set ? node.high : node.low};
    }
}

std::uint16_t Diagrams::words(Diagram diagram) const {
    std::vector<std::uint32_t> open{diagram.id};
    std::unordered_set<std::uint32_t> seen{diagram.id};
    unsigned words = 0;
    while (!open.empty()) {
        const Inner& inner = nodes_[open.back()];
        open.pop_back();
        if (inner.variable == no_variable) continue;
        words |= 1U << static_cast<unsigned>(order[inner.variable / 32]);
        for (const std::uint32_t next : {inner.low, inner.high})
            if (seen.insert(next).second) open.push_back(next);
    }
    return static_cast<std::uint16_t>(words);
}

std::optional<Data> Diagrams::difference(Diagram one, Diagram other) const {
    if (one == other) return std::nullopt;
    Data data;
    // Different objects are different functions: one of the two sides always has a difference.
    for (;;) {
        const auto a = nodes_[one.id], b = nodes_[other.id];
        const auto top = std::min(a.variable, b.variable);
        if (top == no_variable) return data;
        const auto step = [&](bool high) {
            return std::pair(a.variable == top ? Diagram{high ? a.high : a.low} : one,
                             b.variable == top ? Diagram{high ? b.high : b.low} : other);
        };
        auto next = step(false);
        if (next.first == next.second) {
            next = step(true);
            data[order[top / 32]] |= 1U << (31 - top % 32);
        }
        std::tie(one, other) = next;
    }
}

}  // namespace bpfwarden::filter
