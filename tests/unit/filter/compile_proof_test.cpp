// SPDX-License-Identifier: Apache-2.0
// Random functions are compiled, read back and proven the same; and run where they are likely to change their minds.
#include <gtest/gtest.h>

#include "bytecode/classic.hpp"
#include "filter/compare.hpp"
#include "filter/compile.hpp"
#include "filter/read_classic.hpp"
#include "unit/filter/random_function.hpp"
#include "unit/filter/rounds.hpp"

namespace bpfwarden::filter {
namespace {

void prove(unsigned arithmetic, std::uint64_t first, std::uint64_t count) {
    std::uint64_t compiled_count = 0, proven = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        FunctionMaker maker(seed);
        const Function function = maker.make(arithmetic);
        const auto compiled = compile(function, {.weights = {}, .effort = Effort::quick});
        if (!compiled) {
            ASSERT_EQ(compiled.error().code(), Code::unsupported) << compiled.error().text("");
            continue;
        }
        ++compiled_count;
        for (unsigned i = 0; i < 64; ++i) {
            const Data data = maker.edge_input(i);
            ASSERT_EQ(function.evaluate(data), bytecode::run(compiled->program, data.words).result)
                << "seed " << seed << ": nr " << data[Word::nr] << " arch " << data[Word::arch] << " args "
                << data.arg(0) << ' ' << data.arg(1) << ' ' << data.arg(2);
        }
        // What has much arithmetic is not decided within so few nodes; it is not wrong for that.
        const auto read = read_classic(compiled->program);
        if (!read) continue;
        const auto answer = compare(function, *read, 20'000).answer;
        ASSERT_NE(answer, Answer::different) << "seed " << seed;
        proven += answer == Answer::same;
    }
    EXPECT_GE(compiled_count, count - count / 4);
    EXPECT_GE(proven, arithmetic == 0 ? compiled_count * 9 / 10 : compiled_count / 4);
}

TEST(CompileProof, Comparisons) { prove(0, first_seed(1'000'000), rounds(400)); }
TEST(CompileProof, SomeArithmetic) { prove(3, first_seed(2'000'000), rounds(400)); }

}  // namespace
}  // namespace bpfwarden::filter
