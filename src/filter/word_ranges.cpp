// SPDX-License-Identifier: Apache-2.0
#include "filter/word_ranges.hpp"

namespace bpfwarden::filter {

Block make_tests(Graph& graph, Source source, const Forks& forks, std::span<const Block> blocks) {
    // A fork stands before those that it leads to.
    std::vector<Block> made(forks.forks.size());
    const auto of = [&](std::int32_t at) {
        return at < 0 ? blocks[static_cast<std::size_t>(~at)] : made[static_cast<std::size_t>(at)];
    };
    for (std::size_t i = forks.forks.size(); i-- > 0;) {
        const auto& fork = forks.forks[i];
        made[i] = graph.test({source, fork.comparison, 0xffffffff, fork.constant}, of(fork.yes), of(fork.no));
    }
    return of(forks.root);
}

// What values come: the upper half of an argument is mostly 0, of others nothing is known. Never 0.
static std::uint64_t weight_of(Source source, std::uint32_t first, std::uint32_t last) {
    const bool upper_half = source.id >= 2 && source.id % 2 == 1;
    if (upper_half) return first == 0 ? 64 : 1;
    return first == last ? 3 : 4;
}

void WordRanges::add(std::uint32_t first, std::uint32_t last, Block block) {
    const auto [at, is_new] = targets_.try_emplace(block, static_cast<std::uint32_t>(blocks_.size()));
    if (is_new) blocks_.push_back(block);
    const auto weight = weight_of(source_, first, last);
    if (!ranges_.empty() && ranges_.back().target == at->second) {
        ranges_.back().last = last;
        ranges_.back().weight += weight;
    } else {
        ranges_.push_back({first, last, at->second, weight});
    }
}

// Tests of bits are tried for more ranges than of numbers: there are mostly few in all.
Forks WordRanges::best(const SearchEffort& effort) const {
    constexpr unsigned few = 9;
    return best_forks(ranges_,
                      {.singles = effort.singles, .bit_ranges = ranges_.size() <= few + 3 ? few : effort.bit_ranges});
}

}  // namespace bpfwarden::filter
