// SPDX-License-Identifier: Apache-2.0
#include "filter/keep_order.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "filter/word_ranges.hpp"

namespace bpfwarden::filter {

namespace {

// Of all searches together: ranges, and blocks looked at for them. With more, everything stays as it is.
constexpr std::size_t most_pieces = std::size_t{1} << 14, most_steps = std::size_t{1} << 20;

struct Span {
    std::uint32_t first = 0, last = 0;
};
using Spans = std::vector<Span>;

// Takes those for which it holds out of ascending spans.
Spans take(const Test& test, Spans& spans) {
    const std::uint32_t k = test.constant;
    const auto at = std::ranges::lower_bound(spans, k, {}, &Span::last);
    if (at == spans.end()) return {};
    const Span cut = *at;
    if (test.comparison == Relation::not_less) {
        Spans taken(at, spans.end());
        spans.erase(at, spans.end());
        if (cut.first < k) {
            spans.push_back({cut.first, k - 1});
            taken.front().first = k;
        }
        return taken;
    }
    if (cut.first > k) return {};
    auto after = spans.erase(at);
    if (cut.last > k) after = spans.insert(after, {k + 1, cut.last});
    if (cut.first < k) spans.insert(after, {cut.first, k - 1});
    return {{k, k}};
}

class OrderKeeper {
  public:
    OrderKeeper(Graph& graph, const SearchEffort& effort) : graph_(graph), effort_(effort) {}

    Block run(Block root) {
        std::size_t count = 0;
        const auto heads = graph_.below(root, [&](Block block, const auto& go_on) {
            if (!is_range_test(graph_[block])) return go_on_by_all(graph_[block], go_on);
            const auto pieces = pieces_of(block);
            count += pieces.size();
            if (is_too_much_ || count > most_pieces) return;
            for (const auto& piece : pieces) go_on(piece.block);
        });
        if (is_too_much_ || count > most_pieces) return root;
        steps_ = 0;
        for (const Block block : heads) made_.emplace(block, made_of(block));
        return made_.at(root);
    }

  private:
    struct Piece {
        Span values;
        Block block;
    };

    // Where values of the word that `head` tests lead: to what does not test it.
    std::vector<Piece> pieces_of(Block head) {
        const Source source = graph_[head].test.source;
        std::vector<Piece> pieces;
        // Of blocks that test it, what comes to them: all of it at the one that was made last.
        std::map<Block, Spans> coming{{head, {{0, 0xffffffff}}}};
        const auto go = [&](Block to, Spans&& spans) {
            if (spans.empty()) return;
            if (!is_range_test(graph_[to]) || graph_[to].test.source != source) {
                for (const auto& span : spans) pieces.push_back({span, to});
                return;
            }
            auto& there = coming[to];
            if (there.empty()) there.swap(spans);
            const auto before = static_cast<std::ptrdiff_t>(there.size());
            there.insert(there.end(), spans.begin(), spans.end());
            std::ranges::inplace_merge(there, there.begin() + before, {}, &Span::first);
        };
        while (!coming.empty()) {
            auto last = coming.extract(std::prev(coming.end()));
            const auto& view = graph_[last.key()];
            is_too_much_ |= ++steps_ > most_steps || last.mapped().size() > most_pieces;
            if (is_too_much_) return {};
            go(view.yes, take(view.test, last.mapped()));
            go(view.no, std::move(last.mapped()));
        }
        std::ranges::sort(pieces, {}, [](const Piece& piece) { return piece.values.first; });
        return pieces;
    }

    Block made_of(Block block) {
        const auto view = graph_[block];
        if (is_range_test(view)) {
            WordRanges ranges(view.test.source);
            for (const auto& [values, to] : pieces_of(block)) ranges.add(values.first, values.last, made_.at(to));
            return ranges.make(graph_, ranges.best(effort_));
        }
        if (view.kind == BlockKind::test) return graph_.test(view.test, made_.at(view.yes), made_.at(view.no));
        if (view.kind == BlockKind::compute) return graph_.compute(view.source, made_.at(view.yes));
        return block;
    }

    Graph& graph_;
    const SearchEffort effort_;
    std::map<Block, Block> made_;
    std::size_t steps_ = 0;
    bool is_too_much_ = false;
};

}  // namespace

Block keep_order(Graph& graph, Block root, const SearchEffort& effort) { return OrderKeeper(graph, effort).run(root); }

}  // namespace bpfwarden::filter
