// SPDX-License-Identifier: Apache-2.0
#include "filter/settle.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace bpfwarden::filter {
namespace {

constexpr std::size_t most_edges = 2048;
constexpr std::size_t most_work = 1'000'000;  // nodes looked at, for one architecture

using Edges = std::set<std::uint32_t>;

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

// What is added to the number to get this value, which is then cut to 32 bits or extended, or not; nothing if it is
// anything else. Between the edges it grows with the number, one by one.
std::optional<std::uint64_t> added(const Terms& terms, Term term, Edges& edges, unsigned depth = 0) {
    const auto view = terms[term];
    if (view.kind == TermKind::word) {
        if (view.number != static_cast<std::uint64_t>(Word::nr)) return std::nullopt;
        return 0;
    }
    std::uint64_t more = 0;
    Term inner = view.a;
    if (view.kind == TermKind::bit_and || view.kind == TermKind::add) {
        const auto left = terms.value(view.a), right = terms.value(view.b);
        if (!left && !right) return std::nullopt;
        const auto constant = left ? *left : *right;
        if (left) inner = view.b;
        if (view.kind == TermKind::add)
            more = constant;
        else if (constant != 0xffffffff)
            return std::nullopt;
    } else if (view.kind != TermKind::sign_extend || view.number != 32) {
        return std::nullopt;
    }
    if (depth == 4) return std::nullopt;
    const auto before = added(terms, inner, edges, depth + 1);
    if (!before) return std::nullopt;
    // There it wraps, or its sign changes.
    edges.insert({low(0 - *before - more), low(0x80000000 - *before - more)});
    return *before + more;
}

// Compares nothing but the number with constants; then the edges between which its answer is the same.
bool is_of_number(const Terms& terms, Condition condition, Edges& edges) {
    const auto view = terms[condition];
    if (view.kind == ConditionKind::one_of) {
        const auto sum = added(terms, view.a, edges);
        if (!sum) return false;
        for (const auto value : view.values) edges.insert({low(value - *sum), low(value - *sum + 1)});
        return true;
    }
    if (view.kind != ConditionKind::equal && view.kind != ConditionKind::below &&
        view.kind != ConditionKind::below_signed)
        return false;
    const auto one = terms.value(view.a), other = terms.value(view.b);
    const auto sum = added(terms, one ? view.b : view.a, edges);
    if (!sum || one.has_value() == other.has_value()) return false;
    const auto edge = (one ? *one : *other) - *sum;
    edges.insert({low(edge), low(edge + 1)});
    return true;
}

class Settle {
  public:
    explicit Settle(Decisions& decisions) : decisions_(decisions) {}

    void run(const Run& run, Runs& into) {
        const auto& edges = edges_of(run.node);
        std::uint32_t first = run.first;
        for (auto edge = edges.upper_bound(first); !edges.empty(); ++edge) {
            const bool last = edge == edges.end() || *edge > run.last;
            into.set(first, last ? run.last : *edge - 1, decided(run.node, first));
            if (last) return;
            first = *edge;
        }
    }

  private:
    // From one to the next no condition on the number changes. None: there is no such condition, or too much of all.
    const Edges& edges_of(Node node) {
        if (const auto known = edges_.find(node); known != edges_.end()) return known->second;
        std::set<Node> seen;
        Edges edges;
        const bool found = find_edges(node, seen, edges);
        if (!found || edges.size() * seen.size() > left_) edges.clear();
        // Where a signed number changes its sign, any comparison may change.
        if (!edges.empty()) edges.insert(0x80000000);
        return edges_[node] = std::move(edges);
    }

    bool find_edges(Node root, std::set<Node>& seen, Edges& edges) {
        std::vector<Node> open{root};
        while (!open.empty()) {
            const Node node = open.back();
            open.pop_back();
            if (!seen.insert(node).second) continue;
            if (edges.size() > most_edges || left_ == 0) return false;
            --left_;
            const auto& view = decisions_[node];
            if (view.kind != NodeKind::test) continue;
            is_of_number(decisions_.terms(), view.condition, edges);  // more edges than needed do no harm
            open.push_back(view.no);
            open.push_back(view.yes);
        }
        return true;
    }

    // Without recursion: lists of tests are long.
    Node decided(Node root, std::uint32_t number) {
        std::map<Node, Node> done;
        struct Open {
            Node node;
            std::array<Node, 2> ways;  // the same, where the number decides
        };
        std::vector<Open> open;
        const auto visit = [&](Node node) {
            if (done.contains(node)) return;
            const auto& view = decisions_[node];
            if (view.kind != NodeKind::test || left_ == 0) {
                done[node] = node;
                return;
            }
            --left_;
            std::array ways{view.yes, view.no};
            if (Edges edges; is_of_number(decisions_.terms(), view.condition, edges)) {
                Data data;
                data[Word::nr] = number;
                ways.fill(decisions_.terms().holds(view.condition, data) ? view.yes : view.no);
            }
            open.push_back({node, ways});
        };
        visit(root);
        while (!open.empty()) {
            const auto [node, ways] = open.back();
            const std::size_t before = open.size();
            for (const Node way : ways)
                if (open.size() == before) visit(way);
            if (open.size() != before) continue;
            // test() may move nodes.
            const Condition condition = decisions_[node].condition;
            const Node yes = done.at(ways[0]), no = done.at(ways[1]);
            done[node] = decisions_.test(condition, yes, no);
            open.pop_back();
        }
        return done.at(root);
    }

    Decisions& decisions_;
    std::map<Node, Edges> edges_;
    std::size_t left_ = most_work;
};

}  // namespace

void settle_numbers(Decisions& decisions, Part& part) {
    Settle settle(decisions);
    Runs settled(part.runs.front().node);
    for (const auto& run : part.runs) {
        settled.set(run.first, run.last, run.node);
        settle.run(run, settled);
    }
    part.runs = std::move(settled).done();
}

}  // namespace bpfwarden::filter
