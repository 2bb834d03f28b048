// SPDX-License-Identifier: Apache-2.0
#include "filter/arrange.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "filter/keep_order.hpp"
#include "filter/word_ranges.hpp"

namespace bpfwarden::filter {

namespace {

using Cost = std::uint64_t;
constexpr Cost one = 1 << 12;  // an instruction
constexpr std::uint32_t all = 0xffffffff;

// Above, all orders would take too long.
constexpr std::size_t most_blocks = 400, most_work = 200'000;

class Arranger {
  public:
    Arranger(Graph& graph, const SearchEffort& effort) : graph_(graph), effort_(effort) {}

    Block run(Block root) {
        look(root);
        if (!ranges_only_) return keep_order(graph_, root, effort_);
        std::optional<Arranged> best;
        for (const auto& order : orders()) {
            const auto found = in_order(root, order);
            if (!found) continue;
            if (!best || found->cost < best->cost) best = found;
        }
        return best ? best->block : keep_order(graph_, root, effort_);
    }

  private:
    struct Arranged {
        Block block;
        Cost cost = 0;  // executed, on average
    };

    // Its words, as they are met on the way down; whether there is nothing but comparisons of them, and not too many.
    void look(Block root) {
        std::set<Block> seen;
        std::vector<Block> open{root};
        while (!open.empty() && ranges_only_) {
            const Block block = open.back();
            open.pop_back();
            if (!seen.insert(block).second) continue;
            const auto& view = graph_[block];
            if (view.kind == BlockKind::leave) continue;
            ranges_only_ = is_range_test(view) && seen.size() <= most_blocks;
            if (!ranges_only_) continue;
            if (std::ranges::find(words_, view.test.source) == words_.end()) words_.push_back(view.test.source);
            open.push_back(view.no);
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
        const auto begins = begins_of(root, source);
        const auto result = begins.size() == 1 ? in_order(root, order, from + 1) : by_value(root, order, from, begins);
        if (result) done_.emplace(key, *result);
        return result;
    }
    std::optional<Arranged> by_value(Block root, const std::vector<Source>& order, std::size_t from,
                                     const std::set<std::uint32_t>& begins) {
        const Source source = order[from];
        WordRanges found(source);
        std::map<Block, Cost> costs;
        for (auto at = begins.begin(); at != begins.end();) {
            const std::uint32_t first = *at, last = ++at == begins.end() ? all : *at - 1;
            const auto part = in_order(restrict_to(root, source, first), order, from + 1);
            if (!part || work_ > most_work) return std::nullopt;
            found.add(first, last, part->block);
            costs.emplace(part->block, part->cost);
        }
        if (found.ranges().size() == 1) return Arranged{found.blocks().front(), costs.at(found.blocks().front())};
        const auto forks = found.best(effort_);
        Cost sum = 0, weights = 0;
        for (const auto& range : found.ranges()) {
            sum += range.weight * (forks.executed(range.first) * one + costs.at(found.blocks()[range.target]));
            weights += range.weight;
        }
        // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): there are two ranges or more, and none weighs nothing
        return Arranged{found.make(graph_, forks), one + sum / weights};
    }

    // Where ranges of its values begin that are treated alike; the first is 0.
    std::set<std::uint32_t> begins_of(Block root, Source source) {
        std::set<std::uint32_t> begins{0};
        const auto found = graph_.below(root, [&](Block block, const auto& go_on) {
            const auto& view = graph_[block];
            go_on_by_all(view, go_on);
            if (view.kind != BlockKind::test || view.test.source != source) return;
            begins.insert(view.test.constant);
            if (view.test.comparison == Relation::equal && view.test.constant != all)
                begins.insert(view.test.constant + 1);
        });
        work_ += found.size();
        return begins;
    }
    Block restrict_to(Block root, Source source, std::uint32_t value) {
        const auto way_of = [&](const BlockView& view) -> std::optional<Block> {
            if (view.kind != BlockKind::test || view.test.source != source) return {};
            return view.test.holds(value) ? view.yes : view.no;
        };
        const auto found = graph_.below(root, [&](Block block, const auto& go_on) {
            if (const auto way = way_of(graph_[block]))
                go_on(*way);
            else
                go_on_by_all(graph_[block], go_on);
        });
        work_ += found.size();
        std::map<Block, Block> now;
        for (const Block block : found) {
            const auto view = graph_[block];
            if (const auto way = way_of(view))
                now.emplace(block, now.at(*way));
            else if (view.kind == BlockKind::test)
                now.emplace(block, graph_.test(view.test, now.at(view.yes), now.at(view.no)));
            else
                now.emplace(block, block);
        }
        return now.at(root);
    }

    Graph& graph_;
    const SearchEffort effort_;
    std::vector<Source> words_;
    bool ranges_only_ = true;
    std::map<std::pair<Block, std::size_t>, Arranged> done_;
    std::size_t work_ = 0;
};

}  // namespace

Block arrange(Graph& graph, Block root, const SearchEffort& effort) { return Arranger(graph, effort).run(root); }

}  // namespace bpfwarden::filter
