// SPDX-License-Identifier: Apache-2.0
// Jumps go forward only, so instructions are made from the last to the first: where a jump goes to, and how far that
// is, is known when it is made.
#include "filter/emit.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "bytecode/classic.hpp"

namespace bpfwarden::filter {

using namespace bytecode::classic;

namespace {

constexpr std::size_t farthest = 255;

// Where a test begins, by what A holds already.
enum Entry : std::uint8_t { load_first, mask_first, compare_first };

struct Held {
    Source source;
    std::uint32_t mask = 0;
};

class Emitter {
  public:
    Emitter(const Graph& graph, bool separate_scratch) : graph_(graph), separate_scratch_(separate_scratch) {}

    std::vector<sock_filter> run(Block root) {
        look(root);
        for (const Block block : leaves_) emit_leaf(block);
        emit(root);
        // The first instruction has to be the root's.
        if (const auto at = place_of(root, load_first); at + 1 != out_.size()) push_jump(at);
        std::ranges::reverse(out_);
        return std::move(out_);
    }

  private:
    // A position is counted from the end.
    struct Places {
        std::array<std::optional<std::size_t>, 3> entries;
        std::array<bool, 3> used{};
        bool done = false;
    };

    static std::optional<Held> held_after(const BlockView& view) {
        if (view.kind == BlockKind::test && view.test.comparison != Relation::any_bit)
            return Held{view.test.source, view.test.mask};
        if (view.kind == BlockKind::test) return Held{view.test.source, 0xffffffff};
        if (view.kind == BlockKind::compute) return Held{view.source, 0xffffffff};
        return std::nullopt;
    }
    Entry entry_of(Block to, const std::optional<Held>& held) const {
        const auto& view = graph_[to];
        if (view.kind != BlockKind::test || !held || held->source != view.test.source) return load_first;
        if (held->mask == view.test.mask) return compare_first;
        return held->mask == 0xffffffff ? mask_first : load_first;
    }

    // Which entries there are, which values are kept, and which returns.
    void look(Block root) {
        std::vector<Block> open;
        const auto meet = [&](Block block, const std::optional<Held>& held) {
            auto [at, is_new] = places_.try_emplace(block);
            at->second.used[entry_of(block, held)] = true;
            const auto& view = graph_[block];
            if (view.kind == BlockKind::test && !is_word(view.test.source) && at->second.used[load_first])
                kept_.insert(view.test.source);
            if (!is_new) return;
            if (view.kind == BlockKind::leave) leaves_.push_back(block);
            open.push_back(block);
        };
        meet(root, std::nullopt);
        while (!open.empty()) {
            const Block block = open.back();
            open.pop_back();
            const auto& view = graph_[block];
            if (view.kind == BlockKind::leave || view.kind == BlockKind::leave_computed) continue;
            const auto held = held_after(view);
            if (view.kind == BlockKind::test) meet(view.no, held);
            meet(view.yes, held);
        }
    }

    std::size_t place_of(Block block, Entry entry) const { return *places_.at(block).entries[entry]; }

    void push(std::uint16_t code, std::uint32_t k) { out_.push_back({.code = code, .jt = 0, .jf = 0, .k = k}); }
    void push_return(std::uint16_t code, std::uint32_t k) {
        // See check_scratch() in bytecode/classic_check.cpp: what is kept in scratch memory when this returns would
        // count for what stands after it. A jump between them does not.
        if (separate_scratch_ && !out_.empty() && !is_return(out_.back())) push_jump(0);
        push(code, k);
    }
    void push_jump(std::size_t to) { push(bytecode::classic::jump, static_cast<std::uint32_t>(out_.size() - 1 - to)); }

    // Near enough, even if the other target is brought near after it: else a return is made once more, or a jump that
    // goes there.
    void bring_near(Block block, Entry entry) {
        if (out_.size() - place_of(block, entry) + 1 <= farthest) return;
        if (graph_[block].kind == BlockKind::leave) {
            emit_leaf(block);
            return;
        }
        push_jump(place_of(block, entry));
        places_.at(block).entries[entry] = out_.size() - 1;
    }
    std::uint8_t distance(std::size_t to) const { return static_cast<std::uint8_t>(out_.size() - 1 - to); }

    void emit_leaf(Block block) {
        push_return(return_constant, graph_[block].action);
        places_.at(block).entries.fill(out_.size() - 1);
        places_.at(block).done = true;
    }

    // What it goes on to is made before it. Without recursion: lists of tests are long.
    void emit(Block root) {
        struct Open {
            Block block;
            bool entered = false;
        };
        std::vector<Open> open{{root}};
        while (!open.empty()) {
            const auto [block, entered] = open.back();
            if (places_.at(block).done) {
                open.pop_back();
                continue;
            }
            const auto& view = graph_[block];
            if (!entered && (view.kind == BlockKind::test || view.kind == BlockKind::compute)) {
                open.back().entered = true;
                const Block near = near_of(view);
                open.push_back({near});
                if (view.kind == BlockKind::test) open.push_back({near == view.yes ? view.no : view.yes});
                continue;
            }
            emit_block(view, places_.at(block));
            places_.at(block).done = true;
            open.pop_back();
        }
    }

    void emit_block(const BlockView& view, Places& places) {
        switch (view.kind) {
            case BlockKind::leave:
                return;
            case BlockKind::leave_computed:
                push_return(return_a, 0);
                push(BPF_ALU | BPF_OR | BPF_K, view.action);
                emit_steps(view.source);
                break;
            case BlockKind::compute: {
                const auto to = place_of(view.yes, entry_of(view.yes, held_after(view)));
                if (to + 1 != out_.size()) push_jump(to);
                if (kept_.contains(view.source)) push(store, static_cast<std::uint32_t>(graph_[view.source].slot));
                emit_steps(view.source);
                break;
            }
            case BlockKind::test:
                return emit_test(view, places);
        }
        places.entries.fill(out_.size() - 1);
    }

    // What is made last stands next to it. The smaller part does, so that jumps over it are short; where it does not
    // matter the other side than a test for bits jumps to, which has no opposite.
    Block near_of(const BlockView& view) {
        if (view.kind != BlockKind::test) return view.yes;
        const bool yes_done = places_.at(view.yes).done, no_done = places_.at(view.no).done;
        if (yes_done || no_done) return yes_done ? view.no : view.yes;
        const std::size_t yes_size = weight(view.yes), no_size = weight(view.no);
        const bool short_enough = yes_size + no_size < farthest / 2;
        if (view.test.comparison == Relation::any_bit && short_enough) return view.no;
        return yes_size < no_size ? view.yes : view.no;
    }

    void emit_test(const BlockView& view, Places& places) {
        const auto held = held_after(view);
        const Entry yes = entry_of(view.yes, held), no = entry_of(view.no, held);
        bring_near(view.yes, yes);
        bring_near(view.no, no);
        push_comparison(view.test, distance_after(view.yes, yes), distance_after(view.no, no));
        places.entries[compare_first] = out_.size() - 1;
        if (!places.used[load_first] && !places.used[mask_first]) return;
        if (view.test.mask != 0xffffffff && view.test.comparison != Relation::any_bit)
            push(BPF_ALU | BPF_AND | BPF_K, view.test.mask);
        places.entries[mask_first] = out_.size() - 1;
        if (!places.used[load_first]) return;
        if (is_word(view.test.source))
            push(load_word, view.test.source.id * 4);
        else
            push(load_scratch, static_cast<std::uint32_t>(graph_[view.test.source].slot));
        places.entries[load_first] = out_.size() - 1;
    }
    std::uint8_t distance_after(Block block, Entry entry) const { return distance(place_of(block, entry)); }

    void push_comparison(const Test& test, std::uint8_t yes, std::uint8_t no) {
        // eBPF needs an instruction more for a constant with the uppermost bit.
        const bool just_above = test.comparison == Relation::not_less && test.constant == 0x80000000;
        const std::uint16_t code = test.comparison == Relation::equal     ? jump_equal
                                   : test.comparison == Relation::any_bit ? jump_any_bit
                                   : just_above                           ? jump_greater
                                                                          : jump_not_less;
        out_.push_back({.code = code, .jt = yes, .jf = no, .k = just_above ? test.constant - 1 : test.constant});
    }

    void emit_steps(Source source) {
        const auto& steps = graph_[source].steps;
        // Of each step, and of what comes after the last.
        std::vector<std::size_t> at(steps.size() + 1, out_.size() - 1);
        for (std::size_t i = steps.size(); i-- > 0;) {
            const auto& step = steps[i];
            const auto reach = [&](std::uint32_t to) {
                if (out_.size() - at[to] <= farthest) return;
                push_jump(at[to]);
                at[to] = out_.size() - 1;
            };
            if (step.code == bytecode::classic::jump) {
                push_jump(at[step.yes]);
            } else if ((step.code & 0x07U) == BPF_JMP) {
                reach(step.yes);
                reach(step.no);
                out_.push_back(
                    {.code = step.code, .jt = distance(at[step.yes]), .jf = distance(at[step.no]), .k = step.k});
            } else {
                push(step.code, step.k);
            }
            at[i] = out_.size() - 1;
        }
    }

    // Blocks below, those that are shared as often as they are met; not more than is of interest.
    std::size_t weight(Block root) {
        std::vector<Block> open{root};
        while (!open.empty()) {
            const Block block = open.back();
            const auto& view = graph_[block];
            const std::size_t before = open.size();
            std::size_t sum = 1;
            const auto add = [&](Block part) {
                const auto at = weights_.find(part);
                if (at == weights_.end())
                    open.push_back(part);
                else
                    sum += at->second;
            };
            if (view.kind == BlockKind::test || view.kind == BlockKind::compute) add(view.yes);
            if (view.kind == BlockKind::test) add(view.no);
            if (open.size() != before) continue;
            if (view.kind == BlockKind::compute) sum += graph_[view.source].steps.size();
            weights_[block] = std::min<std::size_t>(sum, 1U << 20);
            open.pop_back();
        }
        return weights_.at(root);
    }

    const Graph& graph_;
    const bool separate_scratch_;
    std::vector<sock_filter> out_;  // backwards
    std::map<Block, Places> places_;
    std::map<Block, std::size_t> weights_;
    std::set<Source> kept_;
    std::vector<Block> leaves_;  // in the order in which they are met
};

}  // namespace

std::vector<sock_filter> emit(const Graph& graph, Block root) {
    auto program = Emitter(graph, false).run(root);
    if (!bytecode::check(program)) program = Emitter(graph, true).run(root);
    return program;
}

}  // namespace bpfwarden::filter
