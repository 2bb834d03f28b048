// SPDX-License-Identifier: Apache-2.0
// Filters made by chance, and inputs near to where they decide.
#pragma once

#include <linux/audit.h>

#include <random>
#include <vector>

#include "filter/action.hpp"
#include "filter/function.hpp"

namespace bpfwarden::filter {

class RandomFunction {
  public:
    explicit RandomFunction(unsigned seed) : random_(seed) {}

    Function make() {
        Function function;
        constants_.clear();
        constexpr std::uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};
        for (const auto arch : archs) {
            if (!function.parts.empty() && pick(2) == 0) continue;
            Runs runs(node(function, 2));
            for (auto n = pick(12); n > 0; --n) {
                const auto first = static_cast<std::uint32_t>(pick(500)) | (pick(6) == 0 ? 0x40000000U : 0);
                runs.set(first, first + static_cast<std::uint32_t>(pick(4) == 0 ? pick(40) : 0),
                         node(function, static_cast<unsigned>(pick(4))));
            }
            function.parts.push_back({arch, std::move(runs).done()});
        }
        function.other = function.decisions->action(SECCOMP_RET_KILL_PROCESS);
        return function;
    }

    // Near a constant of the filter, where there is one.
    Data data(const Function& function) {
        Data data;
        for (auto& word : data.words) word = near();
        const auto& part = function.parts[pick(function.parts.size())];
        data[Word::arch] = pick(20) == 0 ? near() : part.arch;
        const auto& run = part.runs[pick(part.runs.size())];
        data[Word::nr] = pick(2) == 0 ? run.first : run.last;
        return data;
    }

  private:
    std::size_t pick(std::size_t below) { return random_() % below; }

    std::uint64_t number() {
        static constexpr std::uint64_t interesting[] = {0,          1,          2,           0x7fffffff,
                                                        0x80000000, 0xffffffff, 0x100000000, ~std::uint64_t{0}};
        std::uint64_t made = pick(3) == 0   ? interesting[pick(std::size(interesting))]
                             : pick(2) == 0 ? pick(4096)
                                            : random_();
        constants_.push_back(made);
        return made;
    }
    std::uint32_t near() {
        if (constants_.empty() || pick(5) == 0) return static_cast<std::uint32_t>(random_());
        const auto one = constants_[pick(constants_.size())] + pick(3) - 1;
        return static_cast<std::uint32_t>(pick(2) == 0 ? one : one >> 32);
    }

    Term value(Terms& terms, unsigned depth) {
        const auto arg = static_cast<unsigned>(pick(6));
        switch (pick(depth == 0 ? 3 : 8)) {
            case 0:
                return terms.pair(arg_low(arg), arg_high(arg));
            case 1:
                return terms.word(arg_low(arg));
            case 2:
                return terms.binary(TermKind::bit_and, terms.pair(arg_low(arg), arg_high(arg)),
                                    terms.constant(number()));
            case 3:
                return terms.sign_extend(value(terms, depth - 1), 32);
            case 4:
                return terms.binary(TermKind::add, value(terms, depth - 1), terms.constant(number()));
            case 5:
                return terms.binary(pick(2) == 0 ? TermKind::shift_left : TermKind::shift_right,
                                    value(terms, depth - 1), terms.constant(pick(64)));
            case 6:
                return terms.binary(pick(2) == 0 ? TermKind::bit_or : TermKind::bit_xor, value(terms, depth - 1),
                                    value(terms, 0));
            default:
                return terms.table(terms.binary(TermKind::bit_and, value(terms, depth - 1), terms.constant(7)),
                                   {number(), number(), number(), 1, 2, number(), 3, 0});
        }
    }
    Condition condition(Terms& terms) {
        const Term a = value(terms, static_cast<unsigned>(pick(3)));
        switch (pick(4)) {
            case 0:
                return terms.below(a, terms.constant(number()));
            case 1:
                return terms.below_signed(a, terms.constant(number()));
            case 2:
                return terms.one_of(a, {number(), number(), number(), number()});
            default:
                return terms.equal(a, terms.constant(number()));
        }
    }
    Node node(Function& function, unsigned depth) {
        auto& decisions = *function.decisions;
        if (depth == 0 || pick(3) == 0) {
            switch (pick(5)) {
                case 0:
                    return decisions.action(error_of(static_cast<unsigned>(pick(3))));
                case 1:
                    return decisions.action(SECCOMP_RET_TRACE | static_cast<std::uint32_t>(pick(3)));
                case 2:
                    return pick(4) == 0
                               ? decisions.computed(SECCOMP_RET_ERRNO,
                                                    function.terms->binary(TermKind::bit_and, value(*function.terms, 0),
                                                                           function.terms->constant(15)))
                               : decisions.action(SECCOMP_RET_KILL_PROCESS);
                default:
                    return decisions.action(allow);
            }
        }
        const Condition c = condition(*function.terms);
        const Node yes = node(function, depth - 1), no = node(function, depth - 1);
        return decisions.test(c, yes, no);
    }

    std::mt19937_64 random_;
    std::vector<std::uint64_t> constants_;
};

}  // namespace bpfwarden::filter
