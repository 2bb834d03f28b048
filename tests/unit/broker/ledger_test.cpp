// SPDX-License-Identifier: Apache-2.0
#include "broker/ledger.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../grant/grants.hpp"

namespace bpfwarden::broker {

using grant::allowing;

static Counters mapped_again(const Counters& counters) {
    return Counters::map(UniqueFd(::fcntl(counters.memory().get(), F_DUPFD_CLOEXEC, 3))).value();
}

TEST(Counters, TakeUpToTheLimitAndGiveBack) {
    auto counters = Counters::create().value();
    EXPECT_TRUE(counters.take(Count::maps, 2, 3));
    EXPECT_FALSE(counters.take(Count::maps, 2, 3));
    EXPECT_EQ(counters.used(Count::maps), 2U);
    EXPECT_TRUE(counters.take(Count::maps, 1, 3));
    EXPECT_FALSE(counters.take(Count::maps, ~0ULL, ~0ULL)) << "no wrapping round";
    counters.give_back(Count::maps, 2);
    EXPECT_EQ(counters.used(Count::maps), 1U);
    counters.give_back(Count::maps, 100);
    EXPECT_EQ(counters.used(Count::maps), 0U) << "never below nothing";
    EXPECT_EQ(counters.used(Count::programs), 0U);
}

TEST(Counters, AreOneInAllProcesses) {
    auto counters = Counters::create().value();
    constexpr int processes = 4, tries = 20'000;
    constexpr std::uint64_t limit = 30'000;
    for (int i = 0; i < processes; ++i)
        if (::fork() == 0) {
            auto same = mapped_again(counters);
            int got = 0;
            for (int n = 0; n < tries; ++n) got += same.take(Count::programs, 1, limit);
            // Some are given back, as they would be in earnest.
            same.give_back(Count::programs, static_cast<std::uint64_t>(got) / 2);
            same.take(Count::links, static_cast<std::uint64_t>(got - got / 2), ~0ULL);
            ::_exit(0);
        }
    while (::wait(nullptr) > 0) {
    }
    EXPECT_LE(counters.used(Count::programs), limit);
    EXPECT_EQ(counters.used(Count::programs), counters.used(Count::links));
}

TEST(Counters, LoadsPerMinute) {
    auto counters = Counters::create().value();
    constexpr std::uint64_t second = 1'000'000'000, start = 1000 * second;
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(counters.take_load(start, 6)) << i;
    EXPECT_FALSE(counters.take_load(start, 6));
    EXPECT_FALSE(counters.take_load(start + 9 * second, 6));
    EXPECT_TRUE(counters.take_load(start + 10 * second, 6)) << "one every ten seconds";
    EXPECT_FALSE(counters.take_load(start + 10 * second, 6));
    // After a long rest, a full minute's again and no more.
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(counters.take_load(start + 1000 * second, 6)) << i;
    EXPECT_FALSE(counters.take_load(start + 1000 * second, 6));
    EXPECT_FALSE(counters.take_load(start, 0));
}

TEST(Ledger, TakesAtAllLevelsOrNone) {
    const std::vector<grant::Resolved> grants{allowing("[limits]\nmaps = 5\n"), allowing("[limits]\nmaps = 2\n")};
    std::vector<Ledger::Level> levels;
    for (int i = 0; i < 3; ++i) levels.push_back({Counters::create().value(), nullptr});
    auto whole = mapped_again(levels[0].counters);
    auto parent = mapped_again(levels[1].counters);
    Ledger ledger(std::move(levels));
    ledger.limit_by(grants);
    EXPECT_FALSE(ledger.take(Count::maps, 1));
    EXPECT_FALSE(ledger.take(Count::maps, 1));
    const auto full = ledger.take(Count::maps, 1);
    ASSERT_TRUE(full);
    EXPECT_EQ(full->most, 2U);
    EXPECT_EQ(full->grant, &grants[1]);
    EXPECT_EQ(whole.used(Count::maps), 2U) << "what was refused further in counts nowhere";
    EXPECT_EQ(parent.used(Count::maps), 2U);
    // Somebody else of the same grant.
    EXPECT_TRUE(whole.take(Count::maps, 3, 5));
    ledger.give_back(Count::maps, 1);
    EXPECT_TRUE(whole.take(Count::maps, 1, 5));
    EXPECT_EQ(ledger.take(Count::maps, 1)->most, 5U);
}

}  // namespace bpfwarden::broker
