// SPDX-License-Identifier: Apache-2.0
#include "filter/arrange.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

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

namespace {

using Cost = std::uint64_t;
constexpr Cost one = 1 << 12;  // an instruction
constexpr std::uint32_t all = 0xffffffff;

bool is_range_test(const BlockView& view) {
    return view.kind == BlockKind::test && is_word(view.test.source) && view.test.mask == all &&
           view.test.comparison != Relation::any_bit;
}

class Arranger {
  public:
    Arranger(Graph& graph, const SearchEffort& effort) : graph_(graph), effort_(effort) {}

    Block run(Block root) {
        look(root);
        const auto reach = reach_.size();
        if (!ranges_only_ || reach > 400) return keep_order(root);
        std::optional<Arranged> best;
        for (const auto& order : orders()) {
            const auto found = in_order(root, order);
            if (!found) continue;
            if (!best || found->cost < best->cost) best = found;
        }
        return best ? best->block : keep_order(root);
    }

  private:
    struct Arranged {
        Block block;
        Cost cost = 0;  // executed, on average
    };

    void look(Block root) {
        std::vector<Block> open{root};
        while (!open.empty()) {
            const Block block = open.back();
            open.pop_back();
            if (!reach_.insert(block).second) continue;
            const auto& view = graph_[block];
            if (view.kind == BlockKind::leave) continue;
            ranges_only_ &= is_range_test(view);
            if (view.kind == BlockKind::leave_computed) continue;
            if (view.kind == BlockKind::test) {
                if (std::ranges::find(words_, view.test.source) == words_.end()) words_.push_back(view.test.source);
                open.push_back(view.no);
            }
            open.push_back(view.yes);
        }
    }

    // All, where they are few; else that in which they were met, and that with the lower halves before the upper.
    std::vector<std::vector<Source>> orders() const {
        std::vector<std::vector<Source>> orders{words_};
        if (words_.size() <= 4) {
            auto order = words_;
            std::ranges::sort(order);
            do
                if (order != words_) orders.push_back(order);
            while (std::ranges::next_permutation(order).found);
            return orders;
        }
        auto halves = words_;
        for (std::size_t i = 0; i < halves.size(); ++i) {
            const Source low{halves[i].id & ~1U};
            const auto here = halves.begin() + static_cast<std::ptrdiff_t>(i);
            if (const auto at = std::find(here, halves.end(), low); at != halves.end()) std::iter_swap(here, at);
        }
        orders.push_back(std::move(halves));
        return orders;
    }

    // What values come: the upper half of an argument is mostly 0, of others nothing is known.
    static std::uint64_t weight_of(Source source, std::uint32_t first, std::uint32_t last) {
        const bool upper_half = source.id >= 2 && source.id % 2 == 1;
        if (upper_half) return first == 0 ? 64 : 1;
        return first == last ? 3 : 4;
    }

    // Tests of bits are tried for more ranges than of numbers: there are mostly few in all.
    SearchEffort effort_for(const std::vector<Range>& ranges) const {
        constexpr unsigned few = 9;
        return {.singles = effort_.singles, .bit_ranges = ranges.size() <= few + 3 ? few : effort_.bit_ranges};
    }

    std::optional<Arranged> in_order(Block root, const std::vector<Source>& order) {
        done_.clear();
        work_ = 0;
        return in_order(root, order, 0);
    }
    std::optional<Arranged> in_order(Block root, const std::vector<Source>& order, std::size_t from) {
        if (graph_[root].kind == BlockKind::leave) return Arranged{root, one};
        if (from == order.size()) return std::nullopt;
        const auto key = std::pair{root, from};
        if (const auto at = done_.find(key); at != done_.end()) return at->second;
        const Source source = order[from];
        std::set<std::uint32_t> begins{0};
        std::set<Block> seen;
        cuts_of(root, source, begins, seen);
        std::optional<Arranged> result;
        if (begins.size() == 1) {
            result = in_order(root, order, from + 1);
        } else {
            result = by_value(root, order, from, {begins.begin(), begins.end()});
        }
        if (result) done_.emplace(key, *result);
        return result;
    }
    std::optional<Arranged> by_value(Block root, const std::vector<Source>& order, std::size_t from,
                                     const std::vector<std::uint32_t>& begins) {
        const Source source = order[from];
        std::vector<Range> ranges;
        std::vector<Block> blocks;
        std::vector<Cost> costs;
        for (std::size_t i = 0; i < begins.size(); ++i) {
            const std::uint32_t first = begins[i], last = i + 1 < begins.size() ? begins[i + 1] - 1 : all;
            std::map<Block, Block> restricted;
            const auto part = in_order(restrict_to(root, source, first, restricted), order, from + 1);
            if (!part || work_ > 200'000) return std::nullopt;
            auto target = static_cast<std::uint32_t>(std::ranges::find(blocks, part->block) - blocks.begin());
            if (target == blocks.size()) {
                blocks.push_back(part->block);
                costs.push_back(part->cost);
            }
            const auto weight = weight_of(source, first, last);
            if (!ranges.empty() && ranges.back().target == target) {
                ranges.back().last = last;
                ranges.back().weight += weight;
            } else {
                ranges.push_back({first, last, target, weight});
            }
        }
        if (ranges.size() == 1) return Arranged{blocks.front(), costs.front()};
        const auto forks = best_forks(ranges, effort_for(ranges));
        Cost sum = 0, weights = 0;
        for (const auto& range : ranges) {
            sum += range.weight * (depth_of(forks, range.first) * one + costs[range.target]);
            weights += range.weight;
        }
        return Arranged{make_tests(graph_, source, forks, blocks), one + sum / weights};
    }
    static Cost depth_of(const Forks& forks, std::uint32_t value) {
        Cost depth = 0;
        for (std::int32_t at = forks.root; at >= 0; ++depth) {
            const auto& fork = forks.forks[static_cast<std::size_t>(at)];
            at = Test{{}, fork.comparison, all, fork.constant}.holds(value) ? fork.yes : fork.no;
        }
        return depth;
    }

    // Where ranges of its values begin that are treated alike.
    void cuts_of(Block block, Source source, std::set<std::uint32_t>& begins, std::set<Block>& seen) {
        const auto& view = graph_[block];
        if (view.kind != BlockKind::test || !seen.insert(block).second) return;
        ++work_;
        if (view.test.source == source) {
            begins.insert(view.test.constant);
            if (view.test.comparison == Relation::equal && view.test.constant != all)
                begins.insert(view.test.constant + 1);
        }
        cuts_of(view.yes, source, begins, seen);
        cuts_of(view.no, source, begins, seen);
    }
    Block restrict_to(Block block, Source source, std::uint32_t value, std::map<Block, Block>& known) {
        ++work_;
        const auto view = graph_[block];
        if (view.kind != BlockKind::test) return block;
        if (view.test.source == source)
            return restrict_to(view.test.holds(value) ? view.yes : view.no, source, value, known);
        if (const auto at = known.find(block); at != known.end()) return at->second;
        const Block yes = restrict_to(view.yes, source, value, known), no = restrict_to(view.no, source, value, known);
        const Block now = graph_.test(view.test, yes, no);
        known.emplace(block, now);
        return now;
    }

    // Only tests of one word that follow each other are put in order.
    Block keep_order(Block block) {
        const auto view = graph_[block];
        if (view.kind == BlockKind::leave || view.kind == BlockKind::leave_computed) return block;
        if (const auto at = kept_.find(block); at != kept_.end()) return at->second;
        Block now;
        if (view.kind == BlockKind::compute) {
            now = graph_.compute(view.source, keep_order(view.yes));
        } else if (!is_range_test(view)) {
            const Block yes = keep_order(view.yes), no = keep_order(view.no);
            now = graph_.test(view.test, yes, no);
        } else {
            std::vector<Range> ranges;
            std::vector<Block> blocks;
            collect(block, view.test.source, 0, all, ranges, blocks);
            now = ranges.size() == 1
                      ? blocks.front()
                      : make_tests(graph_, view.test.source, best_forks(ranges, effort_for(ranges)), blocks);
        }
        kept_.emplace(block, now);
        return now;
    }
    void collect(Block block, Source source, std::uint32_t first, std::uint32_t last, std::vector<Range>& ranges,
                 std::vector<Block>& blocks) {
        const auto view = graph_[block];
        if (!is_range_test(view) || view.test.source != source) {
            const Block now = keep_order(block);
            const auto target = static_cast<std::uint32_t>(std::ranges::find(blocks, now) - blocks.begin());
            if (target == blocks.size()) blocks.push_back(now);
            const auto weight = weight_of(source, first, last);
            if (!ranges.empty() && ranges.back().target == target) {
                ranges.back().last = last;
                ranges.back().weight += weight;
            } else {
                ranges.push_back({first, last, target, weight});
            }
            return;
        }
        const std::uint32_t k = view.test.constant;
        const auto part = [&](std::uint32_t from, std::uint32_t to, Block where) {
            from = std::max(from, first);
            to = std::min(to, last);
            if (from <= to) collect(where, source, from, to, ranges, blocks);
        };
        if (k > 0) part(0, k - 1, view.no);
        if (view.test.comparison == Relation::not_less) return part(k, all, view.yes);
        part(k, k, view.yes);
        if (k < all) part(k + 1, all, view.no);
    }

    Graph& graph_;
    const SearchEffort effort_;
    std::set<Block> reach_;
    std::vector<Source> words_;
    bool ranges_only_ = true;
    std::map<std::pair<Block, std::size_t>, Arranged> done_;
    std::map<Block, Block> kept_;
    std::size_t work_ = 0;
};

}  // namespace

Block arrange(Graph& graph, Block root, const SearchEffort& effort) { return Arranger(graph, effort).run(root); }

}  // namespace bpfwarden::filter
