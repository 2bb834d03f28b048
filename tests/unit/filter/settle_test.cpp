// SPDX-License-Identifier: Apache-2.0
#include "filter/settle.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>

#include "unit/filter/random_function.hpp"

namespace bpfwarden::filter {
namespace {

TEST(Settle, ASetOfNumbersBecomesRuns) {
    Function function;
    auto& terms = *function.terms;
    auto& decisions = *function.decisions;
    const Node yes = decisions.action(allow), no = decisions.action(error_of(1));
    const auto in_set = terms.one_of(terms.word(Word::nr), {3, 4, 9, 0xffffffff});
    Part part{AUDIT_ARCH_X86_64, {{0, 0xffffffff, decisions.test(in_set, yes, no)}}};
    settle_numbers(decisions, part);
    const std::vector<filter::Run> expected{{0, 2, no},  {3, 4, yes},          {5, 8, no},
                                            {9, 9, yes}, {10, 0xfffffffe, no}, {0xffffffff, 0xffffffff, yes}};
    EXPECT_EQ(part.runs, expected);
}

TEST(Settle, SignsCount) {
    Function function;
    auto& terms = *function.terms;
    auto& decisions = *function.decisions;
    const Node yes = decisions.action(allow), no = decisions.action(error_of(1));
    const auto number = terms.sign_extend(terms.word(Word::nr), 32);
    const auto below = terms.below_signed(number, terms.constant(5));
    Part part{AUDIT_ARCH_X86_64, {{0, 0xffffffff, decisions.test(below, yes, no)}}};
    settle_numbers(decisions, part);
    const std::vector<filter::Run> expected{{0, 4, yes}, {5, 0x7fffffff, no}, {0x80000000, 0xffffffff, yes}};
    EXPECT_EQ(part.runs, expected);
}

TEST(Settle, WhatLooksAtArgumentsStays) {
    Function function;
    auto& terms = *function.terms;
    auto& decisions = *function.decisions;
    const Node yes = decisions.action(allow), no = decisions.action(error_of(1));
    const Node test = decisions.test(terms.equal(terms.word(Word::arg0_low), terms.constant(1)), yes, no);
    const Node both = decisions.test(terms.equal(terms.word(Word::nr), terms.constant(7)), test, no);
    Part part{AUDIT_ARCH_X86_64, {{0, 0xffffffff, both}}};
    settle_numbers(decisions, part);
    const std::vector<filter::Run> expected{{0, 6, no}, {7, 7, test}, {8, 0xffffffff, no}};
    EXPECT_EQ(part.runs, expected);
}

TEST(Settle, FunctionsStayWhatTheyAre) {
    std::size_t split = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        FunctionMaker maker(seed);
        Function function;
        maker.use(function, 0, false);
        auto& terms = *function.terms;
        auto& decisions = *function.decisions;
        std::vector<std::uint64_t> constants;
        const auto constant = [&] { return constants.emplace_back(maker.constant()); };
        const auto number = [&] {
            Term term = terms.word(Word::nr);
            for (std::size_t i = 0, count = maker.pick(4); i < count; ++i) {
                if (const auto kind = maker.pick(3); kind == 0)
                    term = terms.sign_extend(term, 32);
                else
                    term = terms.binary(kind == 1 ? TermKind::add : TermKind::bit_and, term,
                                        terms.constant(kind == 1 ? constant() : 0xffffffff));
            }
            return term;
        };
        std::vector<Node> nodes{decisions.action(allow), decisions.action(error_of(1)), decisions.action(error_of(2))};
        for (int i = 0; i < 8; ++i) {
            const Term left = number(), right = terms.constant(constant());
            const auto kind = maker.pick(6);
            const Condition condition = kind == 0   ? maker.condition(1)
                                        : kind == 1 ? terms.equal(left, right)
                                        : kind == 2 ? terms.below(left, right)
                                        : kind == 3 ? terms.below(right, left)
                                        : kind == 4 ? terms.below_signed(left, right)
                                                    : terms.one_of(left, {constant(), constant(), constant()});
            const Node yes = nodes[maker.pick(nodes.size())], no = nodes.back();
            nodes.push_back(decisions.test(condition, yes, no));
        }
        Part part{AUDIT_ARCH_X86_64, {{0, 0xffffffff, nodes.back()}}};
        settle_numbers(decisions, part);
        split += part.runs.size() > 1;
        for (unsigned i = 0; i < 400; ++i) {
            Data data = maker.edge_input(i);
            const auto one = static_cast<std::uint32_t>(constants[maker.pick(constants.size())]),
                       other = static_cast<std::uint32_t>(constants[maker.pick(constants.size())]);
            const std::uint32_t edges[] = {one, other - one, 0x80000000 - one, one + other, 0 - one};
            data[Word::nr] = edges[maker.pick(5)] + static_cast<std::uint32_t>(maker.pick(3)) - 1;
            const auto run = std::ranges::lower_bound(part.runs, data[Word::nr], {}, &filter::Run::last);
            ASSERT_EQ(decisions.evaluate(run->node, data), decisions.evaluate(nodes.back(), data))
                << seed << " nr " << data[Word::nr];
        }
    }
    EXPECT_GT(split, 250U);
}

// Hostile depth and width end in leaving the run alone.
TEST(Settle, TooMuchIsLeft) {
    Function function;
    auto& terms = *function.terms;
    auto& decisions = *function.decisions;
    Node node = decisions.action(allow);
    for (std::uint32_t i = 0; i < 100'000; ++i)
        node = decisions.test(terms.equal(terms.word(Word::nr), terms.constant(3 * i)),
                              decisions.action(error_of(i & 0xff)), node);
    Part part{AUDIT_ARCH_X86_64, {{0, 0xffffffff, node}}};
    settle_numbers(decisions, part);
    EXPECT_EQ(part.runs, (std::vector<filter::Run>{{0, 0xffffffff, node}}));
}

}  // namespace
}  // namespace bpfwarden::filter
