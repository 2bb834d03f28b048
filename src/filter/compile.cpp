// SPDX-License-Identifier: Apache-2.0
#include "filter/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"
#include "filter/arrange.hpp"
#include "filter/emit.hpp"
#include "filter/lower.hpp"
#include "filter/search.hpp"
#include "filter/word_ranges.hpp"

namespace bpfwarden::filter {

namespace {

constexpr std::uint32_t all = 0xffffffff;
// Against one of the least weight that is not never.
constexpr std::uint64_t weight_scale = 16;
// Numbers below it may have a bit in the kernel's cache: what depends on the number is made for each of them.
constexpr std::uint32_t small_numbers = 512;

SearchEffort search_effort(Effort effort) {
    switch (effort) {
        case Effort::quick:
            return {.singles = 4, .bit_ranges = 3};
        case Effort::normal:
            return {.singles = 6, .bit_ranges = 5};
        case Effort::high:
            break;
    }
    return {.singles = 8, .bit_ranges = 6, .ahead = true};
}

class Compiler {
  public:
    Compiler(const Function& function, const CompileOptions& options, bool is_arranging)
        : function_(function),
          effort_(search_effort(options.effort)),
          is_arranging_(is_arranging),
          lowering_(*function.decisions, graph_) {
        for (const auto& [arch, nr, weight] : options.weights) weights_[arch][nr] += weight;
    }

    Result<Compiled> run() {
        const Block root = BW_TRY(by_arch());
        const auto blocks = reach(root);
        if (blocks > bytecode::classic::max_instructions) return too_large(blocks);
        Compiled compiled;
        compiled.program = emit(graph_, root);
        if (compiled.program.size() > bytecode::classic::max_instructions) return too_large(compiled.program.size());
        if (const auto checked = bytecode::check(compiled.program); !checked)
            return fail(Error(Code::failed, "the compiled filter is not one that a kernel takes")
                            .because(checked.error().what())
                            .advise("this is an error of bpfwarden: please report it, with the source"));
        compiled.converted_length = bytecode::converted_length(compiled.program);
        compiled.largest = largest();
        return compiled;
    }

    // Why run() failed.
    bool is_too_large() const { return is_too_large_; }

  private:
    struct Piece {
        std::uint32_t first = 0, last = 0;
        Block block;
    };

    // ---- numbers

    Result<std::vector<Piece>> pieces_of(const Part& part) {
        std::vector<Piece> pieces;
        const auto add = [&](std::uint32_t first, std::uint32_t last, Block block) {
            if (!pieces.empty() && pieces.back().block == block)
                pieces.back().last = last;
            else
                pieces.push_back({first, last, block});
        };
        for (const auto& run : part.runs) {
            if ((lowering_.words_of(run.node) & 1) == 0) {
                add(run.first, run.last, BW_TRY(residual(part.arch, run.first, run.last, run.node)));
                continue;
            }
            // What is left to decide depends on the number: where its tests of it change, and each number that may
            // have a bit in the cache.
            const Block whole = BW_TRY(residual(part.arch, run.first, run.last, run.node));
            std::set<std::uint32_t> begins{run.first};
            const bool by_bits = collect_numbers(whole, begins);
            if (by_bits)
                for (std::uint32_t nr = run.first; nr <= run.last && nr < small_numbers; ++nr) {
                    begins.insert(nr);
                    if (nr < run.last) begins.insert(nr + 1);
                }
            for (auto at = begins.begin(); at != begins.end(); ++at) {
                if (*at < run.first || *at > run.last) continue;
                const auto next = std::next(at);
                const std::uint32_t last = next == begins.end() ? run.last : std::min(run.last, *next - 1);
                const Node node = *at == last ? lowering_.for_number(run.node, last) : run.node;
                add(*at, last, BW_TRY(residual(part.arch, *at, last, node)));
            }
        }
        return pieces;
    }
    // Where tests of the number change; whether there are others than comparisons.
    bool collect_numbers(Block root, std::set<std::uint32_t>& begins) const {
        constexpr std::size_t most = 4096;
        bool others = false;
        std::set<Block> seen;
        std::vector<Block> open{root};
        while (!open.empty()) {
            const Block block = open.back();
            open.pop_back();
            if (!seen.insert(block).second) continue;
            const auto& view = graph_[block];
            if (view.kind == BlockKind::leave) continue;
            // What it computes may be of the number.
            if (view.kind != BlockKind::test) others = true;
            if (view.kind == BlockKind::leave_computed) continue;
            open.push_back(view.yes);
            if (view.kind != BlockKind::test) continue;
            open.push_back(view.no);
            const auto& test = view.test;
            if (test.source != source_of(Word::nr)) continue;
            if (test.mask != all || test.comparison == Relation::any_bit) {
                others = true;
                continue;
            }
            if (begins.size() > most) return true;
            begins.insert(test.constant);
            if (test.comparison == Relation::equal && test.constant != all) begins.insert(test.constant + 1);
        }
        return others;
    }

    Result<Block> residual(std::uint32_t arch, std::uint32_t first, std::uint32_t last, Node node) {
        Facts facts;
        facts.values[source_of(Word::arch)] = {.first = arch, .last = arch, .zeros = ~arch, .ones = arch};
        facts.values[source_of(Word::nr)] = Known{}.with({source_of(Word::nr), Relation::not_less, all, first}, true);
        if (last != all)
            facts.values[source_of(Word::nr)] =
                facts.values[source_of(Word::nr)].with({source_of(Word::nr), Relation::not_less, all, last + 1}, false);
        auto lowered = lowering_.lower(node, facts);
        if (!lowered)
            return fail(std::move(lowered.error())
                            .within(first == last ? fmt::format("system call {}", first)
                                                  : fmt::format("system calls {} to {}", first, last)));
        const Block block = arranged(*lowered);
        if (graph_[block].kind != BlockKind::leave) residuals_.push_back({arch, first, last, block});
        return block;
    }
    Block arranged(Block block) {
        const auto at = arranged_.find(block);
        if (at != arranged_.end()) return at->second;
        const Block now = is_arranging_ ? arrange(graph_, block, effort_) : block;
        arranged_.emplace(block, now);
        // What is too large already is not worth more time.
        is_arranging_ &= add_reach(now, used_) <= bytecode::classic::max_instructions;
        return now;
    }

    Result<Block> by_number(const Part& part) {
        const auto pieces = BW_TRY(pieces_of(part));
        std::vector<Block> blocks;
        std::vector<Range> ranges;
        static const std::map<std::uint32_t, std::uint64_t> none;
        const auto weights = weights_.find(part.arch);
        const auto& of_number = weights == weights_.end() ? none : weights->second;
        std::uint64_t total = 0;
        for (const auto& [nr, weight] : of_number) total += weight;
        for (const auto& piece : pieces) {
            auto target = static_cast<std::uint32_t>(std::ranges::find(blocks, piece.block) - blocks.begin());
            if (target == blocks.size()) blocks.push_back(piece.block);
            // A number that comes very often stands alone, so that it can be asked for first.
            Range range{piece.first, piece.first, target, 0};
            const auto close = [&](std::uint32_t last) {
                range.last = last;
                ranges.push_back(range);
            };
            for (auto at = of_number.lower_bound(piece.first); at != of_number.end() && at->first <= piece.last; ++at) {
                const auto [nr, weight] = *at;
                if (weight * 24 < total) {
                    range.weight += weight * weight_scale;
                    continue;
                }
                if (nr > range.first) close(nr - 1);
                ranges.push_back({nr, nr, target, weight * weight_scale});
                range = {nr + 1, 0, target, 0};
            }
            if (range.first <= piece.last && (range.first != 0 || piece.first == 0)) close(piece.last);
        }
        for (auto& range : ranges) ++range.weight;
        std::vector<Value> values;
        for (const auto& [nr, weight] : of_number)
            if (weight > 0) values.push_back({nr, weight * weight_scale});
        arch_weights_.push_back(total);
        return make_tests(graph_, source_of(Word::nr), best_forks(ranges, effort_, values), blocks);
    }

    // ---- architectures

    Result<Block> by_arch() {
        struct Known {
            std::uint32_t arch;
            Block block;
            std::uint64_t weight;
        };
        std::vector<Known> known;
        for (const auto& part : function_.parts) {
            const Block block = BW_TRY(by_number(part));
            known.push_back({part.arch, block, arch_weights_.back() + 1});
        }
        std::ranges::sort(known, {}, &Known::arch);
        Facts facts;
        auto& arch = facts.values[source_of(Word::arch)];
        for (const auto& one : known) arch = arch.with({source_of(Word::arch), Relation::equal, all, one.arch}, false);
        auto other = lowering_.lower(function_.other, facts);
        if (!other) return fail(std::move(other.error()).within("other architectures"));
        std::vector<Block> blocks{arranged(*other)};
        if (graph_[blocks.front()].kind != BlockKind::leave) residuals_.push_back({0, 0, all, blocks.front()});
        std::vector<Range> ranges;
        std::uint64_t next = 0;
        for (const auto& one : known) {
            if (one.arch > next) ranges.push_back({static_cast<std::uint32_t>(next), one.arch - 1, 0, 0});
            auto target = static_cast<std::uint32_t>(std::ranges::find(blocks, one.block) - blocks.begin());
            if (target == blocks.size()) blocks.push_back(one.block);
            ranges.push_back({one.arch, one.arch, target, one.weight});
            next = std::uint64_t{one.arch} + 1;
        }
        if (next <= all) ranges.push_back({static_cast<std::uint32_t>(next), all, 0, 0});
        return make_tests(graph_, source_of(Word::arch), best_forks(ranges, effort_), blocks);
    }

    // ---- where the size is

    struct Residual {
        std::uint32_t arch, first, last;
        Block block;
    };
    // With all that it leads to; how many there are then.
    std::size_t add_reach(Block root, std::set<Block>& blocks) const {
        std::vector<Block> open{root};
        while (!open.empty()) {
            const Block block = open.back();
            open.pop_back();
            if (blocks.insert(block).second) go_on_by_all(graph_[block], [&](Block next) { open.push_back(next); });
        }
        return blocks.size();
    }
    std::size_t reach(Block root) const {
        std::set<Block> blocks;
        std::size_t size = add_reach(root, blocks);
        for (const Block block : blocks) {
            const auto& view = graph_[block];
            if (view.kind == BlockKind::compute || view.kind == BlockKind::leave_computed)
                size += graph_[view.source].steps.size();
        }
        return size;
    }
    std::vector<Compiled::Part> largest() const {
        std::vector<Compiled::Part> parts;
        for (const auto& [arch, first, last, block] : residuals_) {
            const bool huge = reach(block) > bytecode::classic::max_instructions;
            parts.push_back({arch, first, last, huge ? reach(block) : emit(graph_, block).size()});
        }
        std::ranges::stable_sort(parts, std::ranges::greater{}, &Compiled::Part::instructions);
        return parts;
    }
    Failure too_large(std::size_t size) {
        is_too_large_ = true;
        std::string where;
        const auto parts = largest();
        for (std::size_t i = 0; i < parts.size() && i < 5; ++i) {
            const auto& part = parts[i];
            fmt::format_to(std::back_inserter(where), "{}{} takes {}", i == 0 ? "" : ", ",
                           part.first == part.last ? fmt::format("system call {}", part.first)
                           : part.last == all && part.first == 0
                               ? std::string("every system call")
                               : fmt::format("system calls {} to {}", part.first, part.last),
                           part.instructions);
        }
        return fail(Error(Code::unsupported, fmt::format("the filter needs more than {} instructions: {}",
                                                         bytecode::classic::max_instructions, size))
                        .because(where.empty() ? "the numbers alone need that many tests" : where)
                        .advise("decide less by arguments, or give the kernel two filters"));
    }

    const Function& function_;
    const SearchEffort effort_;
    bool is_arranging_;
    Graph graph_;
    Lowering lowering_;
    std::map<std::uint32_t, std::map<std::uint32_t, std::uint64_t>> weights_;
    std::vector<std::uint64_t> arch_weights_;
    std::map<Block, Block> arranged_;
    std::set<Block> used_;
    std::vector<Residual> residuals_;
    bool is_too_large_ = false;
};

}  // namespace

Weights uniform_weights(std::span<const NumberTable> tables) {
    Weights weights;
    for (const auto& table : tables)
        for (const auto nr : table.numbers) weights.push_back({table.arch, nr, 1});
    return weights;
}

Weights usual_weights(const Function& function, std::span<const NumberTable> tables, bool cached_too) {
    constexpr std::uint64_t checked = 12, refused = 1, allowed = 16;
    Weights weights;
    for (const auto& table : tables) {
        const auto part = std::ranges::find(function.parts, table.arch, &Part::arch);
        if (part == function.parts.end()) continue;
        for (const auto nr : table.numbers) {
            const auto run = std::ranges::lower_bound(part->runs, nr, {}, &Run::last);
            const auto& view = (*function.decisions)[run->node];
            std::uint64_t weight = refused;
            if (view.kind != NodeKind::action)
                weight = checked;
            else if (view.action == allow)
                weight = !bytecode::has_cache_bit(table.arch, nr) || cached_too ? allowed : 0;
            weights.push_back({table.arch, nr, weight});
        }
    }
    return weights;
}

Result<Compiled> compile(const Function& function, const CompileOptions& options) {
    Compiler fast(function, options, true);
    auto compiled = fast.run();
    if (compiled || !fast.is_too_large()) return compiled;
    // A search has more comparisons than a list of equal ones, which may just fit.
    auto listed = Compiler(function, options, false).run();
    return listed ? listed : compiled;
}

}  // namespace bpfwarden::filter
