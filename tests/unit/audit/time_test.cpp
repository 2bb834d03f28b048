// SPDX-License-Identifier: Apache-2.0
#include "audit/time.hpp"

#include <gtest/gtest.h>

#include <random>

namespace bpfwarden::audit {

TEST(AuditTime, RoundTrip) {
    EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000000000Z");
    EXPECT_EQ(format_time(1'773'480'413'589'793'238), "2026-03-14T09:26:53.589793238Z");
    EXPECT_EQ(format_time(~std::uint64_t{0}), "2554-07-21T23:34:33.709551615Z");
    std::mt19937_64 random(1);
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t time = random();
        ASSERT_EQ(parse_time(format_time(time)), time);
    }
}

TEST(AuditTime, WhatPeopleWrite) {
    const auto noon = parse_time("2026-03-14T12:00:00Z");
    ASSERT_TRUE(noon);
    EXPECT_EQ(parse_time("2026-03-14T14:00:00+02:00"), *noon);
    EXPECT_EQ(parse_time("2026-03-14 06:30:00-05:30"), *noon);
    EXPECT_EQ(parse_time("2026-03-14t12:00:00.5z"), *noon + 500'000'000);
    EXPECT_TRUE(parse_time("2024-02-29T00:00:00Z"));
    for (const char* bad :
         {"", "now", "2026-03-14", "2026-03-14T12:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
          "2026-03-14T24:00:00Z", "2026-03-14T12:60:00Z", "2026-03-14T12:00:00.Z", "2026-03-14T12:00:00.1234567890Z",
          "2026-03-14T12:00:00Zx", "1969-12-31T23:59:59Z", "2555-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
          "2026-03-14T12:00:00+1:00", "2026-3-14T12:00:00Z"})
        EXPECT_FALSE(parse_time(bad)) << bad;
}

TEST(AuditTime, OrHowLongAgo) {
    EXPECT_EQ(parse_time_or_age("10m", 1'000'000'000'000), 400'000'000'000U);
    EXPECT_EQ(parse_time_or_age("1970-01-01T00:00:01Z", 5), 1'000'000'000U);
    EXPECT_EQ(parse_time_or_age("9999999d", 5), 0U) << "before all time";
    EXPECT_FALSE(parse_time_or_age("10", 5));
    EXPECT_FALSE(parse_time_or_age("yesterday", 5));
}

}  // namespace bpfwarden::audit
