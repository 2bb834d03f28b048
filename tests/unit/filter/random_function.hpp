// SPDX-License-Identifier: Apache-2.0
// Filters at random, and inputs at which they are likely to change their minds.
#pragma once

#include <linux/audit.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "filter/action.hpp"
#include "filter/function.hpp"

namespace bpfwarden::filter {

class FunctionMaker {
  public:
    explicit FunctionMaker(std::uint64_t seed) : random_(seed) {}

    std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random_() % below); }

    // `arithmetic`: how often values are computed, of ten.
    Function make(unsigned arithmetic) {
        arithmetic_ = arithmetic;
        constants_.clear();
        numbers_ = {0, 1, 59, 511, 512, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff};
        Function function;
        terms_ = function.terms.get();
        decisions_ = function.decisions.get();
        std::vector<Node> nodes{decisions_->action(allow), decisions_->action(error_of(1)),
                                decisions_->action(error_of(38)), decisions_->action(SECCOMP_RET_KILL_PROCESS),
                                decisions_->action(SECCOMP_RET_LOG)};
        const std::size_t leaves = nodes.size();
        for (std::size_t i = 0, count = 1 + pick(12); i < count; ++i) {
            if (pick(12) < arithmetic / 3) {
                nodes.push_back(decisions_->computed(SECCOMP_RET_TRACE, value(2)));
                continue;
            }
            const Node yes = nodes[pick(nodes.size())], no = nodes[pick(nodes.size())];
            nodes.push_back(decisions_->test(condition(2), yes, no));
        }
        const auto any = [&] { return nodes[pick(3) == 0 ? leaves + pick(nodes.size() - leaves) : pick(leaves)]; };
        for (const auto arch : {std::uint32_t{AUDIT_ARCH_X86_64}, std::uint32_t{AUDIT_ARCH_I386}}) {
            if (pick(3) == 0) continue;
            Runs runs(any());
            for (std::size_t i = 0, count = pick(40); i < count; ++i) {
                const auto first = static_cast<std::uint32_t>(pick(8) == 0 ? random_() : pick(470));
                const auto last = pick(3) == 0 ? first : first + static_cast<std::uint32_t>(pick(12));
                if (last < first) continue;
                runs.set(first, last, any());
                for (const std::uint32_t number : {first - 1, first, last, last + 1}) numbers_.push_back(number);
            }
            function.parts.push_back({arch, std::move(runs).done()});
        }
        function.other = any();
        return function;
    }

    // For the function made last.
    Data input() {
        Data data;
        constexpr std::uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};
        for (auto& word : data.words) word = near_constant();
        data[Word::arch] = archs[pick(4)];
        data[Word::nr] = pick(4) == 0 ? static_cast<std::uint32_t>(pick(480)) : numbers_[pick(numbers_.size())];
        for (unsigned arg = 0; arg < 6; ++arg) {
            if (pick(3) != 0) continue;
            if (!constants_.empty() && pick(2) == 0)
                data.set_arg(arg, constants_[pick(constants_.size())] + pick(3) - 1);
            else
                data[arg_high(arg)] = pick(2) == 0 ? 0 : 0xffffffff;
        }
        return data;
    }
    std::vector<std::uint32_t> numbers() const { return numbers_; }

    std::uint64_t constant() {
        const std::uint64_t value = [&]() -> std::uint64_t {
            switch (pick(7)) {
                case 0:
                    return random_();
                case 1:
                    return std::uint64_t{1} << pick(64);
                case 2:
                    return (std::uint64_t{1} << pick(64)) - 1;
                case 3:
                    return std::uint64_t{0} - pick(4);
                case 4:
                    return static_cast<std::uint32_t>(random_());
                default:
                    return pick(40);
            }
        }();
        constants_.push_back(value);
        return value;
    }
    Term word() { return terms_->word(static_cast<Word>(pick(8) == 0 ? 0 : 4 + pick(6))); }
    Term value(unsigned depth) {
        if (depth == 0 || pick(10) >= arithmetic_) {
            switch (pick(4)) {
                case 0:
                    return word();
                case 1:
                    return terms_->binary(TermKind::bit_and, word(), terms_->constant(constant()));
                default: {
                    const auto arg = static_cast<unsigned>(pick(3));
                    return terms_->pair(arg_low(arg), arg_high(arg));
                }
            }
        }
        static constexpr TermKind kinds[] = {TermKind::add,           TermKind::multiply,
                                             TermKind::divide,        TermKind::modulo,
                                             TermKind::bit_and,       TermKind::bit_or,
                                             TermKind::bit_xor,       TermKind::shift_left,
                                             TermKind::shift_right,   TermKind::shift_right_signed,
                                             TermKind::divide_signed, TermKind::modulo_signed};
        switch (pick(8)) {
            case 0:
                return terms_->sign_extend(value(depth - 1), std::array{8U, 16U, 32U}[pick(3)]);
            case 1: {
                const Term index = terms_->binary(TermKind::bit_and, value(depth - 1), terms_->constant(7));
                std::vector<std::uint64_t> values(8);
                for (auto& one : values) one = constant();
                return terms_->table(index, std::move(values));
            }
            case 2: {
                const auto choice = condition(depth - 1);
                const Term yes = value(depth - 1), no = value(depth - 1);
                return terms_->select(choice, yes, no);
            }
            default:
                break;
        }
        TermKind kind = kinds[pick(std::size(kinds))];
        const Term a = value(depth - 1);
        const bool shift =
            kind == TermKind::shift_left || kind == TermKind::shift_right || kind == TermKind::shift_right_signed;
        if (shift)
            return terms_->binary(kind, a,
                                  pick(2) == 0 ? terms_->constant(pick(64))
                                               : terms_->binary(TermKind::bit_and, value(0), terms_->constant(63)));
        const bool divides = kind == TermKind::divide || kind == TermKind::modulo || kind == TermKind::divide_signed ||
                             kind == TermKind::modulo_signed;
        // One long division fills a filter: mostly short ones, and by small numbers.
        if (divides && !long_division_) {
            const Term small = terms_->binary(TermKind::bit_and, a, terms_->constant(0xffffffff));
            if (pick(2) == 0) return terms_->binary(kind, a, terms_->constant(1 + pick(0xffff)));
            return terms_->binary(kind, small, terms_->binary(TermKind::bit_and, value(0), terms_->constant(0xffff)));
        }
        return terms_->binary(kind, a, pick(2) == 0 ? terms_->constant(constant()) : value(depth - 1));
    }
    Condition condition(unsigned depth) {
        const Term a = value(depth);
        const Term b = pick(10) < arithmetic_ / 2 ? value(depth) : terms_->constant(constant());
        switch (pick(7)) {
            case 0:
                return terms_->below(a, b);
            case 1:
                return terms_->below(b, a);
            case 2:
                return terms_->below_signed(a, b);
            case 3: {
                std::vector<std::uint64_t> values;
                for (std::size_t i = 0, count = 1 + pick(12); i < count; ++i)
                    values.push_back(pick(3) == 0 || values.empty() ? constant() : values.back() + 1 + pick(3));
                return terms_->one_of(a, std::move(values));
            }
            case 4:
                return depth == 0 ? terms_->equal(a, b) : terms_->both(condition(depth - 1), condition(depth - 1));
            case 5:
                return depth == 0 ? terms_->equal(a, b) : terms_->either(condition(depth - 1), condition(depth - 1));
            default:
                return terms_->equal(a, b);
        }
    }
    // For a value that is not part of a filter.
    Data edge_input(unsigned at) {
        if (numbers_.empty()) numbers_ = {0};
        Data data = input();
        if (at < 4) data.words.fill(at % 2 == 0 ? 0 : 0xffffffff);
        return data;
    }
    void use(Function& function, unsigned arithmetic, bool long_division) {
        terms_ = function.terms.get();
        decisions_ = function.decisions.get();
        arithmetic_ = arithmetic;
        long_division_ = long_division;
    }

  private:
    std::uint32_t near_constant() {
        switch (pick(5)) {
            case 0:
                return static_cast<std::uint32_t>(random_());
            case 1:
                return static_cast<std::uint32_t>(pick(40));
            case 2:
                return 0U - static_cast<std::uint32_t>(pick(3));
            default: {
                if (constants_.empty()) return 0;
                const auto value = constants_[pick(constants_.size())] + pick(3) - 1;
                return static_cast<std::uint32_t>(pick(3) == 0 ? value >> 32 : value);
            }
        }
    }

    std::mt19937_64 random_;
    Terms* terms_ = nullptr;
    Decisions* decisions_ = nullptr;
    unsigned arithmetic_ = 0;
    bool long_division_ = false;
    std::vector<std::uint64_t> constants_;
    std::vector<std::uint32_t> numbers_;
};

}  // namespace bpfwarden::filter
