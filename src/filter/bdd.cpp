// SPDX-License-Identifier: Apache-2.0
#include "filter/bdd.hpp"

#include <algorithm>

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

Diagrams::Diagrams(std::size_t most_nodes) : most_(most_nodes) {
    (void)end(0);
    (void)end(1);
}

Diagram Diagrams::end(std::uint32_t value) {
    const auto [at, is_new] = known_.try_emplace({no_variable, value, 0}, static_cast<std::uint32_t>(nodes_.size()));
    if (is_new) nodes_.push_back({no_variable, value, 0});
    return {at->second};
}

Diagram Diagrams::make(std::uint32_t variable, Diagram low, Diagram high) {
    if (low == high) return low;
    const Key key{variable, low.id, high.id};
    if (const auto at = known_.find(key); at != known_.end()) return {at->second};
    if (nodes_.size() >= most_) {
        full_ = true;
        return {};
    }
    const auto id = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back({variable, low.id, high.id});
    known_.emplace(key, id);
    return {id};
}

Diagram Diagrams::bit(Word word, unsigned number) { return make(variable(word, number), truth(false), truth(true)); }

// As deep as there are variables.
Diagram Diagrams::choose(Diagram condition, Diagram yes, Diagram no) {
    if (full_) return {};
    if (condition == truth(true) || yes == no) return yes;
    if (condition == truth(false)) return no;
    if (yes == truth(true) && no == truth(false)) return condition;
    const Key key{condition.id, yes.id, no.id};
    if (const auto at = chosen_.find(key); at != chosen_.end()) return {at->second};
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
    if (chosen_.size() >= 4 * most_) full_ = true;
    if (!full_) chosen_.emplace(key, made.id);
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
