// SPDX-License-Identifier: Apache-2.0
// Where the values of one word, or of a computed value, lead.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "filter/graph.hpp"
#include "filter/search.hpp"

namespace bpfwarden::filter {

// Adds `forks` over the values of one source; targets are indexes into `blocks`.
Block make_tests(Graph& graph, Source source, const Forks& forks, std::span<const Block> blocks);

class WordRanges {
  public:
    explicit WordRanges(Source source) : source_(source) {}

    // Ascending, from 0 to the greatest there is.
    void add(std::uint32_t first, std::uint32_t last, Block block);

    const std::vector<Range>& ranges() const { return ranges_; }
    const std::vector<Block>& blocks() const { return blocks_; }  // by the ranges' targets
    Forks best(const SearchEffort& effort) const;
    Block make(Graph& graph, const Forks& forks) const { return make_tests(graph, source_, forks, blocks_); }

  private:
    const Source source_;
    std::vector<Range> ranges_;
    std::vector<Block> blocks_;
    std::map<Block, std::uint32_t> targets_;
};

}  // namespace bpfwarden::filter
