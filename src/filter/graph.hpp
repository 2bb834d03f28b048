// SPDX-License-Identifier: Apache-2.0
// What a classic program does, before its instructions have places: tests of 32-bit values, each going on at one of
// two blocks, down to returns. Equal blocks are one; what a block leads to was made before it, so there is no cycle.
#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include "filter/data.hpp"
#include "filter/term.hpp"

namespace bpfwarden::filter {

// What a program can load into A: a word of the data, or a computed value that it keeps in scratch memory.
struct Source {
    std::uint32_t id = 0;
    auto operator<=>(const Source&) const = default;
};
constexpr Source source_of(Word word) { return {static_cast<std::uint32_t>(word)}; }
constexpr bool is_word(Source source) { return source.id < word_count; }

enum class Relation : std::uint8_t { equal, not_less, any_bit };

// Of `source & mask` with a constant.
struct Test {
    Source source;
    Relation comparison{};
    std::uint32_t mask = 0xffffffff;
    std::uint32_t constant = 0;
    bool operator==(const Test&) const = default;

    bool holds(std::uint32_t value) const;
};

// Instructions that run from the first to the last, with jumps forward in between: `yes` and `no` are numbers of steps,
// one past the last is the end.
struct Step {
    std::uint16_t code = 0;
    std::uint32_t k = 0;
    std::uint32_t yes = 0, no = 0;
    bool operator==(const Step&) const = default;
};
using Steps = std::vector<Step>;

// A value that instructions compute into A.
struct Computed {
    Term term;
    Steps steps;
    int slot = -1;  // of scratch memory, where it is kept; -1: nowhere
};

struct Block {
    std::uint32_t id = 0;
    auto operator<=>(const Block&) const = default;
};

enum class BlockKind : std::uint8_t {
    leave,           // returns `action`
    leave_computed,  // returns `action` and what `source` is computed to
    compute,         // computes `source`, goes on at `yes`
    test,
};

struct BlockView {
    BlockKind kind{};
    std::uint32_t action = 0;
    Source source = {};
    Test test = {};
    Block yes = {}, no = {};
    bool operator==(const BlockView&) const = default;
};

// A comparison of a whole word of the data.
inline bool is_range_test(const BlockView& view) {
    return view.kind == BlockKind::test && is_word(view.test.source) && view.test.mask == 0xffffffff &&
           view.test.comparison != Relation::any_bit;
}
// Calls `go_on` with each block that it leads to.
void go_on_by_all(const BlockView& view, const auto& go_on) {
    if (view.kind == BlockKind::test || view.kind == BlockKind::compute) go_on(view.yes);
    if (view.kind == BlockKind::test) go_on(view.no);
}

class Graph {
  public:
    Block leave(std::uint32_t action) { return keep({.kind = BlockKind::leave, .action = action}); }
    Block leave_computed(std::uint32_t action, Source source) {
        return keep({.kind = BlockKind::leave_computed, .action = action, .source = source});
    }
    Block compute(Source source, Block next) {
        return keep({.kind = BlockKind::compute, .source = source, .yes = next});
    }
    // In its simplest form.
    Block test(Test test, Block yes, Block no);

    Source computed(Computed value);
    const Computed& operator[](Source source) const { return computed_[source.id - word_count]; }
    const BlockView& operator[](Block block) const { return blocks_[block.id]; }
    std::size_t size() const { return blocks_.size(); }

    // The root and what is below it, as far as `ways(block, go_on)` calls `go_on` with others. It comes before them;
    // in the result, they come before it.
    std::set<Block> below(Block root, const auto& ways) const {
        std::set<Block> found{root};
        for (auto at = found.end(); at != found.begin();) ways(*--at, [&](Block next) { found.insert(next); });
        return found;
    }

  private:
    Block keep(const BlockView& view);
    std::vector<BlockView> blocks_;
    std::vector<Computed> computed_;
    struct Hash {
        std::size_t operator()(const BlockView& view) const;
    };
    std::unordered_map<BlockView, std::uint32_t, Hash> known_;
};

}  // namespace bpfwarden::filter
