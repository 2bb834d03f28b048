// SPDX-License-Identifier: Apache-2.0
// Whatever is compiled returns what its function does.
#include <gtest/gtest.h>

#include "bytecode/classic.hpp"
#include "bytecode/classic_text.hpp"
#include "filter/arithmetic.hpp"
#include "filter/compile.hpp"
#include "unit/filter/random_function.hpp"
#include "unit/filter/rounds.hpp"

namespace bpfwarden::filter {
namespace {

NumberTable table() {
    NumberTable numbers{AUDIT_ARCH_X86_64, {}};
    for (std::uint32_t nr = 0; nr < 470; ++nr) numbers.numbers.push_back(nr);
    return numbers;
}

// Numbers for which the function is plainly ALLOW are answered by the kernel's cache.
void expect_cached(const Function& function, const Compiled& compiled) {
    for (const auto& part : function.parts)
        for (const auto& run : part.runs) {
            const auto& view = (*function.decisions)[run.node];
            if (view.kind != NodeKind::action || view.action != allow) continue;
            for (std::uint32_t nr = run.first; nr <= run.last && nr < 512; ++nr)
                ASSERT_TRUE(bytecode::cached(compiled.program, part.arch, nr)) << nr;
        }
}

void same_function(unsigned arithmetic, std::uint64_t seed, std::uint64_t count, Effort effort) {
    FunctionMaker maker(first_seed(seed));
    std::uint64_t compiled_count = 0;
    for (std::uint64_t round = 0; round < count; ++round) {
        const Function function = maker.make(arithmetic);
        CompileOptions options{.effort = effort};
        if (round % 3 == 0) options.weights = uniform_weights({{table()}});
        if (round % 3 == 1) options.weights = usual_weights(function, {{table()}}, false);
        const auto compiled = compile(function, options);
        if (!compiled) {
            ASSERT_EQ(compiled.error().code(), Code::unsupported) << compiled.error().text("");
            continue;
        }
        ++compiled_count;
        ASSERT_TRUE(bytecode::check(compiled->program));
        ASSERT_EQ(compiled->converted_length, bytecode::converted_length(compiled->program));
        ASSERT_NO_FATAL_FAILURE(expect_cached(function, *compiled)) << "round " << round;
        for (unsigned i = 0; i < 150; ++i) {
            const Data data = maker.input();
            const auto expected = function.evaluate(data), found = bytecode::run(compiled->program, data.words).result;
            ASSERT_EQ(expected, found) << "round " << round << ": nr " << data[Word::nr] << " arch " << data[Word::arch]
                                       << " args " << data.arg(0) << ' ' << data.arg(1) << ' ' << data.arg(2) << '\n'
                                       << bytecode::as_assembly(compiled->program);
        }
        const auto again = compile(function, options);
        ASSERT_TRUE(again);
        ASSERT_EQ(bytecode::write_raw(compiled->program), bytecode::write_raw(again->program));
    }
    EXPECT_GE(compiled_count, count - count / 4);
}

TEST(CompileRandom, Comparisons) { same_function(0, 1, rounds(120), Effort::quick); }
TEST(CompileRandom, ComparisonsWithEffort) { same_function(0, 2, rounds(30), Effort::normal); }
TEST(CompileRandom, ComparisonsWithHighEffort) { same_function(0, 6, rounds(9), Effort::high); }
TEST(CompileRandom, SomeArithmetic) { same_function(3, 3, rounds(120), Effort::quick); }
TEST(CompileRandom, MuchArithmetic) { same_function(8, 4, rounds(100), Effort::quick); }

// The code for one value, by itself.
TEST(CompileRandom, Values) {
    FunctionMaker maker(first_seed(5));
    std::uint64_t coded = 0;
    const auto count = rounds(15000);
    for (std::uint64_t round = 0; round < count; ++round) {
        Function function;
        maker.use(function, 9, round % 10 == 0);
        auto& terms = *function.terms;
        const Term value = maker.value(1 + static_cast<unsigned>(maker.pick(3)));
        const unsigned shift = static_cast<unsigned>(maker.pick(4)) * 16;
        const Term part = terms.binary(TermKind::shift_right, value, terms.constant(shift));
        function.other = function.decisions->computed(SECCOMP_RET_TRACE, part);
        const auto compiled = compile(function);
        if (!compiled) continue;
        ++coded;
        for (unsigned i = 0; i < 60; ++i) {
            const Data data = maker.edge_input(i);
            ASSERT_EQ(function.evaluate(data), bytecode::run(compiled->program, data.words).result)
                << "round " << round << " kind " << static_cast<int>(terms[value].kind) << '\n'
                << bytecode::as_assembly(compiled->program);
        }
    }
    EXPECT_GE(coded, count - count / 5);
}

}  // namespace
}  // namespace bpfwarden::filter
