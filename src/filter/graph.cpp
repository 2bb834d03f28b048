// SPDX-License-Identifier: Apache-2.0
#include "filter/graph.hpp"

#include <bit>
#include <utility>

namespace bpfwarden::filter {

bool Test::holds(std::uint32_t value) const {
    switch (comparison) {
        case Relation::equal:
            return (value & mask) == constant;
        case Relation::not_less:
            return (value & mask) >= constant;
        case Relation::any_bit:
            return (value & mask & constant) != 0;
    }
    return false;
}

std::size_t Graph::Hash::operator()(const BlockView& view) const {
    std::size_t hash = static_cast<std::size_t>(view.kind);
    for (const std::uint32_t one :
         {view.action, view.source.id, view.test.source.id, view.test.mask, view.test.constant,
          static_cast<std::uint32_t>(view.test.comparison), view.yes.id, view.no.id}) {
        hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    }
    return hash;
}

Block Graph::keep(const BlockView& view) {
    const auto [at, is_new] = known_.try_emplace(view, static_cast<std::uint32_t>(blocks_.size()));
    if (is_new) blocks_.push_back(view);
    return {at->second};
}

Source Graph::computed(Computed value) {
    for (std::size_t i = 0; i < computed_.size(); ++i)
        if (computed_[i].term == value.term && computed_[i].slot == value.slot && computed_[i].steps == value.steps)
            return {static_cast<std::uint32_t>(word_count + i)};
    computed_.push_back(std::move(value));
    return {static_cast<std::uint32_t>(word_count + computed_.size() - 1)};
}

Block Graph::test(Test test, Block yes, Block no) {
    if (yes == no) return yes;
    if (test.comparison == Relation::any_bit) {
        test.constant &= test.mask;
        test.mask = 0xffffffff;
        if (test.constant == 0) return no;
    }
    if (test.comparison == Relation::not_less) {
        if (test.constant == 0) return yes;
        if (test.constant > test.mask) return no;
        // A bit and all above it decide: the mask need not be taken.
        if (const std::uint32_t above = ~((std::uint32_t{1} << (std::bit_width(test.constant) - 1)) - 1);
            std::has_single_bit(test.constant) && (test.mask != 0xffffffff))
            return this->test({test.source, Relation::any_bit, 0xffffffff, test.mask & above}, yes, no);
    }
    if (test.comparison == Relation::equal) {
        if ((test.constant & ~test.mask) != 0) return no;
        if (test.mask == 0) return yes;
        if (test.mask != 0xffffffff) {
            if (test.constant == 0) return this->test({test.source, Relation::any_bit, 0xffffffff, test.mask}, no, yes);
            if (std::has_single_bit(test.mask))
                return this->test({test.source, Relation::any_bit, 0xffffffff, test.mask}, yes, no);
        }
    }
    return keep({.kind = BlockKind::test, .test = test, .yes = yes, .no = no});
}

}  // namespace bpfwarden::filter
