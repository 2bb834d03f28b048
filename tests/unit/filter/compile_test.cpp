// SPDX-License-Identifier: Apache-2.0
#include "filter/compile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>

#include <functional>
#include <string>

#include "bytecode/classic.hpp"
#include "bytecode/classic_text.hpp"
#include "filter/action.hpp"
#include "unit/bytecode/in_child.hpp"

namespace bpfwarden::filter {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t native = AUDIT_ARCH_X86_64, compat = AUDIT_ARCH_I386;

// A filter of one architecture, others are killed.
struct Policy {
    Function function;
    Terms& terms = *function.terms;
    Decisions& decisions = *function.decisions;
    Node yes = decisions.action(allow), no = decisions.action(error_of(1)),
         kill = decisions.action(SECCOMP_RET_KILL_PROCESS);

    Term arg(unsigned number) { return terms.pair(arg_low(number), arg_high(number)); }
    Term number(std::uint64_t value) { return terms.constant(value); }
    void part(Node rest, const std::vector<filter::Run>& given, std::uint32_t arch = native) {
        Runs runs(rest);
        for (const auto& run : given) runs.set(run.first, run.last, run.node);
        function.parts.push_back({arch, std::move(runs).done()});
        function.other = kill;
    }
};

Compiled compiled(const Function& function, const CompileOptions& options = {}) {
    auto result = compile(function, options);
    EXPECT_TRUE(result) << result.error().text("");
    if (!result) return {};
    EXPECT_TRUE(bytecode::check(result->program));
    return *std::move(result);
}

Data call(std::uint32_t nr, std::initializer_list<std::uint64_t> args = {}, std::uint32_t arch = native) {
    Data data;
    data[Word::nr] = nr;
    data[Word::arch] = arch;
    unsigned at = 0;
    for (const auto arg : args) data.set_arg(at++, arg);
    return data;
}
std::uint32_t result(const Compiled& filter, const Data& data) {
    return bytecode::run(filter.program, data.words).result;
}
unsigned executed(const Compiled& filter, const Data& data) {
    return bytecode::run(filter.program, data.words).executed;
}

const std::vector<std::uint64_t>& edges() {
    static const std::vector<std::uint64_t> values = [] {
        std::vector<std::uint64_t> all;
        for (const std::uint64_t base :
             {std::uint64_t{0}, std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{5} << 32,
              (std::uint64_t{5} << 32) + 7, std::uint64_t{1} << 63, std::uint64_t{0xffffffff00000000}})
            for (std::uint64_t near = 0; near < 5; ++near) all.push_back(base + near - 2);
        return all;
    }();
    return values;
}

// ---- bugs that others had

// CVE-2019-9893: 64-bit comparisons that compared halves by themselves.
TEST(CompileKnownBugs, ComparisonsOf64Bits) {
    for (const auto limit : edges()) {
        Policy policy;
        const auto a = policy.arg(0);
        const auto k = policy.number(limit);
        const auto decide = [&](Condition c) { return policy.decisions.test(c, policy.yes, policy.no); };
        policy.part(policy.no, {{1, 1, decide(policy.terms.below(a, k))},
                                {2, 2, decide(policy.terms.opposite(policy.terms.below(k, a)))},
                                {3, 3, decide(policy.terms.below(k, a))},
                                {4, 4, decide(policy.terms.opposite(policy.terms.below(a, k)))},
                                {5, 5, decide(policy.terms.below_signed(a, k))}});
        const auto filter = compiled(policy.function);
        for (const auto value : edges()) {
            const bool holds[] = {value<limit, value <= limit, value> limit, value >= limit,
                                  static_cast<std::int64_t>(value) < static_cast<std::int64_t>(limit)};
            for (std::uint32_t nr = 1; nr <= 5; ++nr)
                ASSERT_EQ(result(filter, call(nr, {value})) == allow, holds[nr - 1])
                    << nr << ' ' << value << ' ' << limit;
        }
    }
}

// libseccomp #112: of several rules for one call, the one with the later argument was lost. In whatever order they are
// written, the filter is the same function.
TEST(CompileKnownBugs, OrderOfRulesOnDifferentArguments) {
    std::vector<unsigned> order{0, 1, 2};
    do {
        Policy policy;
        Node node = policy.no;
        for (const auto rule : order) {
            const auto first = policy.terms.equal(policy.arg(0), policy.number(rule == 1 ? 2 : 1));
            const auto second = policy.terms.equal(policy.arg(rule), policy.number(rule + 1));
            node = policy.decisions.test(rule == 0 ? first : policy.terms.both(first, second), policy.yes, node);
        }
        policy.part(policy.no, {{7, 7, node}});
        const auto filter = compiled(policy.function);
        for (std::uint64_t a = 0; a < 4; ++a)
            for (std::uint64_t b = 0; b < 4; ++b)
                for (std::uint64_t c = 0; c < 4; ++c) {
                    const bool expected = a == 1 || (a == 2 && b == 2) || (a == 1 && c == 3);
                    EXPECT_EQ(result(filter, call(7, {a, b, c})) == allow, expected) << a << b << c;
                }
    } while (std::ranges::next_permutation(order).found);
}

// libseccomp #148: blocks of different calls that look alike were made one, though they went on differently.
TEST(CompileKnownBugs, LikeBlocksThatGoOnDifferently) {
    Policy policy;
    const auto same = policy.terms.equal(policy.arg(0), policy.number(3));
    const auto other = policy.terms.equal(policy.arg(1), policy.number(4));
    const Node inner = policy.decisions.test(other, policy.yes, policy.no);
    const Node inner_kill = policy.decisions.test(other, policy.yes, policy.kill);
    policy.part(policy.yes, {{1, 1, policy.decisions.test(same, inner, policy.no)},
                             {5, 5, policy.decisions.test(same, inner_kill, policy.no)},
                             {9, 9, policy.decisions.test(same, policy.no, inner)}});
    const auto filter = compiled(policy.function);
    for (std::uint32_t nr = 0; nr < 11; ++nr)
        for (std::uint64_t a = 2; a < 5; ++a)
            for (std::uint64_t b = 3; b < 6; ++b)
                EXPECT_EQ(result(filter, call(nr, {a, b})), policy.function.evaluate(call(nr, {a, b})));
}

// libseccomp #370: a tree without any rule forgot the default.
TEST(CompileKnownBugs, NoRuleButTheDefault) {
    Policy policy;
    policy.part(policy.no, {});
    const auto filter = compiled(policy.function);
    EXPECT_EQ(result(filter, call(0)), error_of(1));
    EXPECT_EQ(result(filter, call(0xffffffff)), error_of(1));
    EXPECT_EQ(result(filter, call(0, {}, compat)), std::uint32_t{SECCOMP_RET_KILL_PROCESS});
    Policy nothing;
    nothing.function.other = nothing.no;
    EXPECT_EQ(compiled(nothing.function).program.size(), 1U);
}

// GHSA-4q85-33p6-j5g6: where 64-bit comparisons of one argument overlap, what the one refused was allowed by the other.
TEST(CompileKnownBugs, ComparisonsThatOverlap) {
    for (const auto low : edges())
        for (const std::uint64_t high : {low + 1, low + (std::uint64_t{1} << 32), std::uint64_t{0} - 2}) {
            Policy policy;
            const auto a = policy.arg(1);
            const auto below = [&](std::uint64_t k) { return policy.terms.below(a, policy.number(k)); };
            const Node last = policy.decisions.test(below(high), policy.no, policy.yes);
            const Node node = policy.decisions.test(
                below(low), policy.yes,
                policy.decisions.test(policy.terms.equal(a, policy.number(low)), policy.kill, last));
            policy.part(policy.no, {{3, 3, node}});
            const auto filter = compiled(policy.function, {.weights = {}, .effort = Effort::quick});
            for (const auto value : edges())
                ASSERT_EQ(result(filter, call(3, {0, value})), policy.function.evaluate(call(3, {0, value}))) << value;
        }
}

// Distances that do not fit into the eight bits of a jump: many calls with long lists of arguments.
TEST(CompileKnownBugs, JumpsOverMoreThan255Instructions) {
    for (const std::uint32_t calls : {1U, 3U, 10U}) {
        Policy policy;
        std::vector<filter::Run> runs;
        for (std::uint32_t nr = 0; nr < calls; ++nr) {
            std::vector<std::uint64_t> values;
            for (std::uint64_t i = 0; i < 300; ++i) values.push_back(1000 * nr + 3 * i);
            runs.push_back({nr * 7, nr * 7,
                            policy.decisions.test(policy.terms.one_of(policy.arg(nr % 6), values), policy.yes,
                                                  policy.decisions.action(error_of(nr + 1)))});
        }
        policy.part(policy.no, runs);
        const auto filter = compiled(policy.function);
        EXPECT_GT(filter.program.size(), 300U * calls);
        for (std::uint32_t nr = 0; nr < calls * 7 + 1; ++nr)
            for (std::uint64_t value = 0; value < 11000; value += 1 + value % 7) {
                Data data = call(nr);
                data.set_arg(nr / 7 % 6, value);
                ASSERT_EQ(result(filter, data), policy.function.evaluate(data)) << nr << ' ' << value;
            }
    }
}

// ---- what is promised

TEST(Compile, AlwaysAllowedNumbersAreCached) {
    Policy policy;
    const Node checked =
        policy.decisions.test(policy.terms.equal(policy.arg(0), policy.number(1)), policy.yes, policy.no);
    std::vector<filter::Run> runs;
    for (std::uint32_t nr = 0; nr < 400; ++nr)
        if (nr % 3 != 0) runs.push_back({nr, nr, nr % 7 == 0 ? checked : policy.yes});
    policy.part(policy.no, runs);
    policy.part(policy.no, runs, compat);
    for (const auto effort : {Effort::quick, Effort::normal}) {
        const auto filter = compiled(policy.function, {.weights = {}, .effort = effort});
        for (const auto arch : {native, compat})
            for (std::uint32_t nr = 0; nr < 512; ++nr)
                EXPECT_EQ(bytecode::cached(filter.program, arch, nr), nr < 400 && nr % 3 != 0 && nr % 7 != 0) << nr;
    }
}

// What is said of numbers only by a test of them inside a residual is found out, too.
TEST(Compile, TestsOfTheNumberInsideARangeAreDispatched) {
    Policy policy;
    auto& terms = policy.terms;
    const Term nr = terms.word(Word::nr);
    const auto odd = terms.equal(terms.binary(TermKind::bit_and, nr, terms.constant(1)), terms.constant(1));
    const auto third = terms.equal(terms.binary(TermKind::modulo, nr, terms.constant(3)), terms.constant(0));
    const Node args = policy.decisions.test(terms.equal(policy.arg(0), terms.constant(1)), policy.yes, policy.no);
    const Node node = policy.decisions.test(
        terms.below(nr, terms.constant(300)),
        policy.decisions.test(odd, policy.yes, policy.decisions.test(third, policy.kill, args)), policy.no);
    policy.part(node, {});
    const auto filter = compiled(policy.function);
    for (std::uint32_t at = 0; at < 700; ++at) {
        EXPECT_EQ(bytecode::cached(filter.program, native, at), at < 300 && at % 2 == 1) << at;
        for (const std::uint64_t arg : {0U, 1U})
            EXPECT_EQ(result(filter, call(at, {arg})), policy.function.evaluate(call(at, {arg})));
    }
}

TEST(Compile, EqualPartsAreOne) {
    Policy one, two;
    const std::vector<filter::Run> runs{{3, 3, one.yes}, {10, 20, one.yes}, {40, 40, one.kill}};
    one.part(one.no, runs);
    two.part(two.no, runs);
    two.part(two.no, runs, compat);
    EXPECT_EQ(compiled(two.function).program.size(), compiled(one.function).program.size() + 1);
}

TEST(Compile, WeightsDecideWhatIsAskedFirst) {
    Policy policy;
    std::vector<filter::Run> runs;
    for (std::uint32_t nr = 0; nr < 300; nr += 3) runs.push_back({nr, nr + 1, policy.yes});
    policy.part(policy.no, runs);
    const auto even = compiled(policy.function);
    CompileOptions options{.weights = {{native, 202, 1000}, {native, 35, 300}}};
    for (std::uint32_t nr = 0; nr < 300; ++nr) options.weights.push_back({native, nr, 1});
    const auto hot = compiled(policy.function, options);
    EXPECT_EQ(executed(hot, call(202)), 5U);  // the architecture, the number, one comparison, the return
    EXPECT_LE(executed(hot, call(35)), 7U);
    EXPECT_GT(executed(even, call(202)), 8U);
    for (std::uint32_t nr = 0; nr < 310; ++nr) EXPECT_EQ(result(hot, call(nr)), result(even, call(nr)));
}

TEST(Compile, ArgumentsThatDecideAreAskedOnce) {
    // 1 <= arg0 < 100 in three ways, of which the first is enough.
    Policy policy;
    auto& terms = policy.terms;
    const auto a = policy.arg(0);
    const auto above = terms.opposite(terms.below(a, terms.constant(1))), below = terms.below(a, terms.constant(100));
    const auto weaker = terms.below(a, terms.constant(1000)),
               word = terms.below(terms.word(arg_low(0)), terms.constant(200));
    const Node simple = policy.decisions.test(above, policy.decisions.test(below, policy.yes, policy.no), policy.no);
    const Node inner = policy.decisions.test(weaker, policy.decisions.test(word, policy.yes, policy.kill), policy.kill);
    const Node more = policy.decisions.test(above, policy.decisions.test(below, inner, policy.no), policy.no);
    Policy other;
    policy.part(policy.no, {{1, 1, simple}});
    const auto expected = compiled(policy.function);
    policy.function.parts.clear();
    policy.part(policy.no, {{1, 1, more}});
    EXPECT_EQ(bytecode::as_assembly(compiled(policy.function).program), bytecode::as_assembly(expected.program));
}

TEST(Compile, SaysWhereTheSizeWent) {
    Policy policy;
    std::vector<filter::Run> runs;
    for (std::uint32_t nr = 10; nr < 14; ++nr) {
        std::vector<std::uint64_t> values;
        for (std::uint64_t i = 0; i < 1500 + nr; ++i) values.push_back(7 * i * nr + i % 3);
        runs.push_back(
            {nr, nr, policy.decisions.test(policy.terms.one_of(policy.arg(0), values), policy.yes, policy.no)});
    }
    policy.part(policy.no, runs);
    const auto filter = compile(policy.function);
    ASSERT_FALSE(filter);
    EXPECT_EQ(filter.error().code(), Code::unsupported);
    EXPECT_THAT(filter.error().what(), HasSubstr("more than 4096 instructions"));
    EXPECT_THAT(filter.error().why(), HasSubstr("system call 13 takes"));
    EXPECT_FALSE(filter.error().hint().empty());
}

TEST(Compile, OneLongDivisionFitsAndTwoDoNot) {
    Policy policy;
    auto& terms = policy.terms;
    const auto quotient = terms.binary(TermKind::divide, policy.arg(0), policy.arg(1));
    policy.part(policy.no,
                {{1, 1, policy.decisions.test(terms.equal(quotient, terms.constant(7)), policy.yes, policy.no)}});
    const auto filter = compiled(policy.function);
    for (const auto a : edges())
        for (const auto b : edges())
            ASSERT_EQ(result(filter, call(1, {a, b})) == allow, b != 0 && a / b == 7) << a << ' ' << b;
    const auto other = terms.binary(TermKind::divide, policy.arg(2), policy.arg(3));
    policy.function.parts.clear();
    policy.part(policy.no, {{1, 1, policy.decisions.test(terms.equal(quotient, other), policy.yes, policy.no)}});
    const auto refused = compile(policy.function);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what(), HasSubstr("system call 1"));
}

TEST(Compile, TellsTheLargestResiduals) {
    Policy policy;
    const auto one = policy.terms.equal(policy.arg(0), policy.number(1));
    const auto two = policy.terms.both(one, policy.terms.equal(policy.arg(1), policy.number(1)));
    policy.part(policy.no, {{1, 1, policy.decisions.test(one, policy.yes, policy.no)},
                            {8, 9, policy.decisions.test(two, policy.yes, policy.no)}});
    const auto filter = compiled(policy.function);
    ASSERT_EQ(filter.largest.size(), 2U);
    EXPECT_EQ(filter.largest[0].first, 8U);
    EXPECT_EQ(filter.largest[0].last, 9U);
    EXPECT_GT(filter.largest[0].instructions, filter.largest[1].instructions);
}

// ---- the kernel runs it

TEST(Compile, TheKernelDecidesAlike) {
    constexpr std::uint32_t number = 5000;  // no system call
    Policy policy;
    auto& terms = policy.terms;
    const auto leaf = [&](unsigned id) { return policy.decisions.action(error_of(id)); };
    const auto sum = terms.binary(TermKind::add, policy.arg(0), policy.arg(1));
    const Node node = policy.decisions.test(
        terms.below(sum, terms.constant(std::uint64_t{5} << 32)),
        policy.decisions.test(terms.one_of(policy.arg(2), {0, 8, 0x20000, 0x20008, 0xffffffff}), leaf(101), leaf(102)),
        policy.decisions.test(terms.below_signed(policy.arg(2), policy.arg(3)), leaf(103),
                              policy.decisions.computed(SECCOMP_RET_ERRNO, terms.binary(TermKind::modulo, policy.arg(4),
                                                                                        terms.constant(1000)))));
    policy.part(policy.yes, {{number, number, node}});
    const auto filter = compiled(policy.function);
    std::vector<bytecode::Call> calls;
    std::uint64_t mixed = 1;
    for (unsigned i = 0; i < 400; ++i) {
        bytecode::Call one{.number = number};
        for (auto& arg : one.args) {
            mixed = mixed * 6364136223846793005U + 1442695040888963407U;
            arg = mixed >> 60 < 4 ? mixed : edges()[(mixed >> 40) % edges().size()];
        }
        if (i % 3 == 0) one.args[2] = (std::uint64_t{1} << (i % 20)) & 0x20008;
        calls.push_back(one);
    }
    const auto results = bytecode::results_in_child(filter.program, calls);
    ASSERT_TRUE(results);
    for (std::size_t i = 0; i < calls.size(); ++i) {
        Data data = call(number);
        for (unsigned arg = 0; arg < 6; ++arg) data.set_arg(arg, calls[i].args[arg]);
        EXPECT_EQ(-(*results)[i], static_cast<long>(policy.function.evaluate(data) & 0xffff));
    }
}

}  // namespace
}  // namespace bpfwarden::filter
