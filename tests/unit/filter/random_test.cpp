// SPDX-License-Identifier: Apache-2.0
// Programs at random: what is accepted is safe and is the function that the interpreter runs; most are accepted.
#include <gtest/gtest.h>

#include "unit/filter/rounds.hpp"
#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

TEST(RandomPrograms, AreEvaluatedAsTheyRun) {
    auto options = small_tables(10);
    options.limits.work = 1'000'000;
    std::uint64_t accepted = 0;
    const auto count = rounds(300), first = first_seed(1);
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        Random random(seed);
        ProgramMaker maker(random, {.maps = seed % 2 == 0, .length = 4 + random.below(24)});
        const auto program = maker.make();
        const auto evaluated = evaluate(program, options);
        if (!evaluated) continue;
        ++accepted;
        ASSERT_EQ(agreements(program, evaluated->function, random, 40, 14), 40U) << "seed " << seed;
    }
    EXPECT_GT(accepted, count * 9 / 10);
}

// One field of one instruction is another: nearly all of that is refused, and none of it is accepted wrongly.
TEST(RandomPrograms, DamagedOnesAreRefusedOrSafe) {
    auto options = small_tables(3);
    options.limits.work = 100'000;
    std::uint64_t accepted = 0, refused = 0;
    const auto count = rounds(3000), first = first_seed(1);
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        Random random(seed);
        ProgramMaker maker(random, {.maps = true, .length = 3 + random.below(6)});
        auto program = maker.make();
        for (std::uint64_t one = 0; one <= random.below(3); ++one) {
            auto& insn = program.code[random.below(program.code.size())];
            switch (random.below(5)) {
                case 0:
                    insn.code = static_cast<std::uint8_t>(random.bits());
                    break;
                case 1:
                    insn.dst_reg = random.below(12) & 0xfU;
                    break;
                case 2:
                    insn.src_reg = random.below(12) & 0xfU;
                    break;
                case 3:
                    insn.off = static_cast<std::int16_t>(random.number());
                    break;
                default:
                    insn.imm = static_cast<std::int32_t>(random.number());
            }
        }
        const auto evaluated = evaluate(program, options);
        ++(evaluated ? accepted : refused);
        if (!evaluated) {
            ASSERT_FALSE(evaluated.error().what().empty());
            continue;
        }
        ASSERT_EQ(agreements(program, evaluated->function, random, 10, 6), 10U) << "seed " << seed;
    }
    EXPECT_GT(accepted, count / 10);
    EXPECT_GT(refused, count / 10);
}

}  // namespace
}  // namespace bpfwarden::filter
