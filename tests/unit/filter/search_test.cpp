// SPDX-License-Identifier: Apache-2.0
#include "filter/search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace bpfwarden::filter {
namespace {

constexpr std::uint32_t all = 0xffffffff;
constexpr SearchEffort quick{.singles = 4, .bit_ranges = 3}, normal{.singles = 6, .bit_ranges = 5},
    high{.singles = 8, .bit_ranges = 6, .ahead = true};

struct End {
    std::uint32_t target = 0;
    std::uint64_t depth = 0;
};
End follow(const Forks& forks, std::uint32_t value) {
    std::int32_t at = forks.root;
    std::uint64_t depth = 0;
    for (; at >= 0; ++depth) {
        const auto& fork = forks.forks[static_cast<std::size_t>(at)];
        at = Test{{}, fork.comparison, all, fork.constant}.holds(value) ? fork.yes : fork.no;
    }
    return {static_cast<std::uint32_t>(~at), depth};
}

struct Problem {
    std::vector<Range> ranges;
    std::vector<Value> values;
};
// Ranges up to the last value there is; the values of those below it are known.
Problem random_problem(std::mt19937_64& random, std::size_t count, std::uint32_t targets, unsigned longest) {
    const auto pick = [&](std::uint64_t below) { return static_cast<std::uint32_t>(random() % below); };
    Problem problem;
    std::uint32_t next = 0, target = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t size = pick(3) != 0 ? 1 : 1 + pick(longest);
        target = (target + 1 + pick(targets - 1)) % targets;
        Range range{next, i + 1 == count ? all : next + size - 1, target, 1};
        for (std::uint32_t value = next; value < next + size; ++value) {
            if (pick(4) == 0) continue;
            problem.values.push_back({value, 16 * (1 + pick(pick(20) == 0 ? 200 : 3))});
            range.weight += problem.values.back().weight;
        }
        problem.ranges.push_back(range);
        next += size;
    }
    return problem;
}
Forks solved(const Problem& problem, const SearchEffort& effort) {
    return best_forks(problem.ranges, effort, problem.values);
}
// As they are weighed: executed comparisons, then how many there are.
std::uint64_t cost(const Problem& problem, const Forks& forks) {
    std::uint64_t sum = forks.forks.size();
    for (const auto& range : problem.ranges) sum += 2 * follow(forks, range.first).depth;
    for (const auto& [value, weight] : problem.values) sum += 2 * weight * follow(forks, value).depth;
    return sum;
}

TEST(Search, EveryValueComesToItsTarget) {
    std::mt19937_64 random(1);
    for (const unsigned count : {1U, 2U, 3U, 5U, 20U, 60U, 97U, 300U})
        for (const std::uint32_t targets : {2U, 40U})
            for (const auto& effort : {quick, normal, high}) {
                const auto problem = random_problem(random, count, targets, 1 + count % 30);
                const auto forks = solved(problem, effort);
                for (const auto& range : problem.ranges) {
                    // Whatever bits there are above those of the known ones.
                    for (unsigned bit = 0; bit < 32; ++bit) {
                        const auto value = std::clamp(range.first | std::uint32_t{1} << bit, range.first, range.last);
                        ASSERT_EQ(follow(forks, value).target, range.target) << count << ": " << value;
                    }
                    const auto known_end = std::min(range.last, range.first + 40);
                    for (auto value = range.first; value <= known_end; ++value)
                        ASSERT_EQ(follow(forks, value).target, range.target) << count << ": " << value;
                    ASSERT_EQ(follow(forks, range.last).target, range.target) << count;
                }
            }
}

TEST(Search, TheSameForTheSame) {
    std::mt19937_64 random(2);
    for (const std::size_t count : {10U, 50U}) {
        const auto problem = random_problem(random, count, 4, 12);
        EXPECT_EQ(solved(problem, high), solved(problem, high));
    }
}

TEST(Search, MoreEffortIsNeverDearer) {
    std::mt19937_64 random(3);
    std::uint64_t with_normal = 0, with_high = 0;
    for (const std::size_t count : {5U, 12U, 30U, 60U}) {
        const auto problem = random_problem(random, count, 3, 20);
        auto no_look_ahead = high;
        no_look_ahead.ahead = false;
        const auto without = cost(problem, solved(problem, no_look_ahead)), with = cost(problem, solved(problem, high));
        EXPECT_LE(with, without) << count;
        with_normal += cost(problem, solved(problem, normal));
        with_high += with;
    }
    EXPECT_LT(with_high, with_normal);
}

// Two of the bits say all: no other single comparison does.
TEST(Search, OneTestOfTwoBits) {
    Problem problem;
    for (std::uint32_t value = 0; value < 16; ++value) {
        const std::uint32_t target = (value & 6) != 0 ? 1 : 0;
        problem.values.push_back({value, 16});
        if (problem.ranges.empty() || problem.ranges.back().target != target)
            problem.ranges.push_back({value, value, target, 1});
        problem.ranges.back().last = value;
        problem.ranges.back().weight += 16;
    }
    EXPECT_GT(solved(problem, normal).forks.size(), 1U);
    const auto forks = solved(problem, high);
    ASSERT_EQ(forks.forks.size(), 1U);
    EXPECT_EQ(forks.forks[0].comparison, Relation::any_bit);
    EXPECT_EQ(forks.forks[0].constant, 6U);
}

// What comes nearly always is asked for first, in the middle of a range or not.
TEST(Search, WhatComesNearlyAlwaysIsFirst) {
    std::mt19937_64 random(4);
    auto problem = random_problem(random, 40, 3, 20);
    const auto wide = std::ranges::find_if(problem.ranges, [](const Range& range) {
        return range.last - range.first >= 4 && range.last != all && range.first > 0;
    });
    ASSERT_NE(wide, problem.ranges.end());
    const auto often = wide->first + 2;
    std::erase_if(problem.values, [&](const Value& value) { return value.value == often; });
    problem.values.push_back({often, 1'000'000});
    std::ranges::sort(problem.values, {}, &Value::value);
    wide->weight += 1'000'000;
    EXPECT_EQ(follow(solved(problem, high), often).depth, 1U);
}

}  // namespace
}  // namespace bpfwarden::filter
