// SPDX-License-Identifier: Apache-2.0
#include "filter/function.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>

#include "filter/action.hpp"

namespace bpfwarden::filter {
namespace {

TEST(Runs, LaterEntriesWinAndEqualNeighboursAreOne) {
    Function function;
    auto& decisions = *function.decisions;
    const Node yes = decisions.action(allow), no = decisions.action(error_of(1));
    Runs runs(no);
    runs.set(0, 10, yes);
    runs.set(5, 5, no);
    runs.set(11, 20, yes);
    runs.set(0xfffffff0, 0xffffffff, yes);
    const std::vector<filter::Run> expected{
        {0, 4, yes}, {5, 5, no}, {6, 20, yes}, {21, 0xffffffef, no}, {0xfffffff0, 0xffffffff, yes}};
    EXPECT_EQ(std::move(runs).done(), expected);
}

TEST(Decisions, AreEvaluatedAndShared) {
    Function function;
    auto& terms = *function.terms;
    auto& decisions = *function.decisions;
    const Node yes = decisions.action(allow), no = decisions.action(error_of(1));
    const Condition c = terms.equal(terms.word(arg_low(0)), terms.constant(7));
    const Condition d = terms.below(terms.pair(arg_low(1), arg_high(1)), terms.constant(100));
    const Node both = decisions.test(terms.both(c, d), yes, no);
    EXPECT_EQ(both, decisions.test(c, decisions.test(d, yes, no), no));
    EXPECT_EQ(decisions.test(c, yes, yes), yes);
    function.other = decisions.action(SECCOMP_RET_KILL_PROCESS);
    function.parts.push_back({AUDIT_ARCH_X86_64, [&] {
                                  Runs runs(no);
                                  runs.set(16, 16, both);
                                  return std::move(runs).done();
                              }()});
    Data data;
    data[Word::arch] = AUDIT_ARCH_X86_64;
    data[Word::nr] = 16;
    EXPECT_EQ(function.evaluate(data), error_of(1));
    data.set_arg(0, 7);
    EXPECT_EQ(function.evaluate(data), allow);
    data.set_arg(1, 100);
    EXPECT_EQ(function.evaluate(data), error_of(1));
    data[Word::nr] = 17;
    EXPECT_EQ(function.evaluate(data), error_of(1));
    data[Word::arch] = AUDIT_ARCH_I386;
    EXPECT_EQ(function.evaluate(data), std::uint32_t{SECCOMP_RET_KILL_PROCESS});
}

TEST(Decisions, ComputedErrnosEndWhereTheKernelEndsThem) {
    Function function;
    auto& terms = *function.terms;
    auto& decisions = *function.decisions;
    const Node node = decisions.computed(SECCOMP_RET_ERRNO, terms.word(arg_low(2)));
    Data data;
    for (const std::uint32_t value : {0U, 1U, 4095U, 4096U, 0xffffU, 0x10001U}) {
        data[arg_low(2)] = value;
        EXPECT_EQ(decisions.evaluate(node, data), normalized(SECCOMP_RET_ERRNO | (value & 0xffff)));
    }
}

}  // namespace
}  // namespace bpfwarden::filter
