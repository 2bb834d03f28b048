// SPDX-License-Identifier: Apache-2.0
// What `guard status` calls closed: only what the programs that it saw close.
#include "guard/ways.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "enforce/guard_object.hpp"

namespace bpfwarden::guard {

static std::ptrdiff_t closed(const std::vector<Way>& all) { return std::ranges::count_if(all, &Way::closed); }

static const std::vector<std::string> names{"rest_unlink",    "rest_rmdir",     "rest_rename", "rest_locked_down",
                                            "rest_read_file", "rest_remount",   "rest_ptrace", "rest_traceme",
                                            "rest_kill",      "rest_scheduler", "rest_nice",   "rest_limit",
                                            "rest_ioprio",    "rest_sigio",     "rest_perf"};

TEST(Ways, AllThatTheProgramsClose) {
    const auto all = ways(enforce::core_size(), names);
    EXPECT_EQ(closed(all), 8);
    EXPECT_GT(std::ssize(all), 8) << "and what none does";
    for (const auto& one : all) EXPECT_EQ(one.closed, one.why_not.empty()) << one.what;
}

TEST(Ways, OneProgramLess) {
    for (const auto& name : names) {
        auto others = names;
        std::erase(others, name);
        EXPECT_EQ(closed(ways(enforce::core_size(), others)), 7) << name;
    }
}

TEST(Ways, WithoutTheWholeCoreNothingHolds) {
    ASSERT_EQ(enforce::core_size(), 8U);
    EXPECT_EQ(closed(ways(enforce::core_size() - 1, names)), 0);
    EXPECT_EQ(closed(ways(0, {})), 0);
}

}  // namespace bpfwarden::guard
