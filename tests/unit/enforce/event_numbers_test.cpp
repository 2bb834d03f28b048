// SPDX-License-Identifier: Apache-2.0
#include "enforce/event_numbers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>

namespace bpfwarden::enforce {

using ::testing::IsEmpty;

TEST(EventNumbers, AHoleIsALossOnlyWhenTheKernelCountedOne) {
    auto seen = std::make_unique<SeenEvents>();
    EXPECT_TRUE(take_number(*seen, 0, 1));
    EXPECT_TRUE(take_number(*seen, 0, 4));
    const std::uint64_t taken[] = {4, 0};
    EXPECT_THAT(tell_losses(*seen, 0, taken), IsEmpty()) << "both are on their way";
    EXPECT_THAT(tell_losses(*seen, 1, taken), IsEmpty()) << "one is, and nobody knows which";
    EXPECT_TRUE(take_number(*seen, 0, 3)) << "late in the ring, and no loss";
    const auto losses = tell_losses(*seen, 1, taken);
    ASSERT_EQ(losses.size(), 1U);
    EXPECT_EQ(losses[0].cpu, 0U);
    EXPECT_EQ(losses[0].lost, 1U);
    EXPECT_THAT(tell_losses(*seen, 1, taken), IsEmpty()) << "once";
}

TEST(EventNumbers, WhatIsLostAtTheEndIsToldToo) {
    auto seen = std::make_unique<SeenEvents>();
    (void)take_number(*seen, 1, 1);
    const std::uint64_t taken[] = {3, 11};
    const auto losses = tell_losses(*seen, 13, taken);
    ASSERT_EQ(losses.size(), 2U);
    EXPECT_EQ(losses[0].lost, 3U);
    EXPECT_EQ(losses[1].cpu, 1U);
    EXPECT_EQ(losses[1].lost, 10U);
    EXPECT_TRUE(take_number(*seen, 1, 12)) << "the next one follows without a hole";
    const std::uint64_t later[] = {3, 12};
    EXPECT_THAT(tell_losses(*seen, 13, later), IsEmpty());
}

TEST(EventNumbers, WhatWasGivenUpAndComesAfterAllIsLate) {
    auto seen = std::make_unique<SeenEvents>();
    (void)take_number(*seen, 0, 3);
    EXPECT_EQ(give_up_missing(*seen).at(0).lost, 2U);
    EXPECT_EQ(seen->told, 2U);
    EXPECT_FALSE(take_number(*seen, 0, 1));
    EXPECT_EQ(seen->told, 1U);
    const std::uint64_t taken[] = {3};
    EXPECT_THAT(tell_losses(*seen, 1, taken), IsEmpty()) << "the other one was told";
}

// Whatever the order and whenever somebody asks: in the end each number was read or told.
TEST(EventNumbers, EventsAndLossesAreAllThereIs) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        auto seen = std::make_unique<SeenEvents>();
        std::vector<std::uint64_t> taken(4);
        std::vector<std::pair<std::uint32_t, std::uint64_t>> flying;
        std::uint64_t lost = 0, read = 0, told = 0, late = 0;
        const auto ask = [&] {
            for (const auto& loss : tell_losses(*seen, lost, taken)) told += loss.lost;
        };
        for (int i = 0; i < 200; ++i) {
            const auto cpu = static_cast<std::uint32_t>(random() % taken.size());
            flying.emplace_back(cpu, ++taken[cpu]);
            if (random() % 3 == 0) {
                const auto at = static_cast<std::ptrdiff_t>(random() % flying.size());
                const auto [of, number] = flying[static_cast<std::size_t>(at)];
                flying.erase(flying.begin() + at);
                if (random() % 4 == 0) {
                    ++lost;
                } else {
                    ++read;
                    late += !take_number(*seen, of, number);
                }
            }
            if (random() % 5 == 0) ask();
        }
        for (const auto& [cpu, number] : flying) {
            ++read;
            late += !take_number(*seen, cpu, number);
        }
        ask();
        EXPECT_EQ(late, 0U);
        EXPECT_EQ(told, lost);
        EXPECT_EQ(read + told, taken[0] + taken[1] + taken[2] + taken[3]);
    }
}

}  // namespace bpfwarden::enforce
