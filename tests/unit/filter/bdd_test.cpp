// SPDX-License-Identifier: Apache-2.0
#include "filter/bdd.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>

#include <random>

#include "filter/action.hpp"
#include "filter/blast.hpp"
#include "unit/filter/random_function.hpp"

namespace bpfwarden::filter {
namespace {

constexpr std::size_t many = 20'000;

TEST(Diagrams, EqualFunctionsAreOneObject) {
    Diagrams diagrams(many);
    const auto a = diagrams.bit(Word::nr, 3), b = diagrams.bit(arg_low(1), 0);
    EXPECT_EQ(diagrams.both(a, b), diagrams.both(b, a));
    EXPECT_EQ(diagrams.opposite(diagrams.both(a, b)), diagrams.either(diagrams.opposite(a), diagrams.opposite(b)));
    EXPECT_EQ(diagrams.differ(a, a), diagrams.truth(false));
}

TEST(Diagrams, ADifferenceIsOne) {
    Diagrams diagrams(many);
    const auto a = diagrams.bit(Word::nr, 3), b = diagrams.bit(arg_low(1), 0);
    const auto one = diagrams.choose(a, diagrams.end(7), diagrams.end(9)),
               other = diagrams.choose(diagrams.both(a, b), diagrams.end(8), one);
    const auto data = diagrams.difference(one, other);
    ASSERT_TRUE(data);
    EXPECT_NE(diagrams.evaluate(one, *data), diagrams.evaluate(other, *data));
    EXPECT_EQ(diagrams.difference(one, one), std::nullopt);
}

TEST(Diagrams, SayWhenTheyAreFull) {
    Diagrams diagrams(100);
    Diagram all = diagrams.truth(false);
    for (unsigned i = 0; i < 32; ++i)
        all = diagrams.differ(all, diagrams.both(diagrams.bit(arg_low(0), i), diagrams.bit(arg_low(1), i)));
    EXPECT_TRUE(diagrams.full());
}

TEST(Blaster, AgreesWithEvaluationOfTheFunction) {
    unsigned decided = 0;
    constexpr unsigned rounds = 300;
    for (unsigned seed = 0; seed < rounds; ++seed) {
        FunctionMaker maker(seed);
        const auto function = maker.make(seed % 3);
        Diagrams diagrams(many);
        Blaster blaster(diagrams, *function.terms);
        const auto diagram = blaster.of(function);
        if (blaster.gave_up()) continue;
        ++decided;
        for (int i = 0; i < 50; ++i) {
            const auto data = maker.input();
            ASSERT_EQ(diagrams.evaluate(diagram, data), function.evaluate(data)) << "seed " << seed;
        }
    }
    EXPECT_GT(decided, rounds / 2);
}

}  // namespace
}  // namespace bpfwarden::filter
