// SPDX-License-Identifier: Apache-2.0
#include "audit/filter.hpp"

#include <gtest/gtest.h>

#include "audit/stats.hpp"
#include "unit/audit/events.hpp"

namespace bpfwarden::audit {

// Each has its twin that does not fit.
TEST(AuditFilter, EachKind) {
    const auto event = operation(0, false);
    EXPECT_TRUE(Filter{}.matches(event));
    EXPECT_TRUE((Filter{.sessions = {"7"}}.matches(event)));
    EXPECT_FALSE((Filter{.sessions = {"8"}}.matches(event)));
    EXPECT_TRUE((Filter{.grants = {"other", "agent"}}.matches(event)));
    EXPECT_FALSE((Filter{.grants = {"other"}}.matches(event)));
    EXPECT_TRUE((Filter{.verdicts = {"refused"}}.matches(event)));
    EXPECT_FALSE((Filter{.verdicts = {"allowed"}}.matches(event)));
    EXPECT_TRUE((Filter{.kinds = {"operation"}}.matches(event)));
    EXPECT_FALSE((Filter{.kinds = {"gap"}}.matches(event)));
    EXPECT_TRUE((Filter{.uids = {"1001"}}.matches(event)));
    EXPECT_FALSE((Filter{.uids = {"100"}}.matches(event)));
    EXPECT_TRUE((Filter{.since_ns = event.time_ns, .until_ns = event.time_ns}.matches(event)));
    EXPECT_FALSE((Filter{.since_ns = event.time_ns + 1}.matches(event)));
    EXPECT_FALSE((Filter{.until_ns = event.time_ns - 1}.matches(event)));
    EXPECT_TRUE((Filter{.grants = {"agent"}, .verdicts = {"refused"}}.matches(event)));
    EXPECT_FALSE((Filter{.grants = {"agent"}, .verdicts = {"allowed"}}.matches(event))) << "all must fit";
    EXPECT_FALSE((Filter{.sessions = {""}}.matches(event)));
    EXPECT_FALSE((Filter{.grants = {"agent"}}.matches(Event{.kind = "gap", .fields = {}})));
}

TEST(AuditFilter, TheSenderCountsAsWell) {
    auto event = operation(0);
    EXPECT_FALSE((Filter{.uids = {"5"}}.matches(event)));
    event.set("sender.uid", 5);
    EXPECT_TRUE((Filter{.uids = {"5"}}.matches(event)));
    EXPECT_TRUE((Filter{.uids = {"1001"}}.matches(event)));
}

TEST(AuditFilter, OperationsAreGlobsOverWords) {
    const auto fits = [](const char* glob, const char* text) {
        Event event{.kind = "operation", .fields = {}};
        return Filter{.operations = {glob}}.matches(event.set("operation", text));
    };
    EXPECT_TRUE(fits("map_create *", "map_create hash"));
    EXPECT_FALSE(fits("map_create *", "prog_load xdp"));
    EXPECT_TRUE(fits("attach*", "attach tracepoint sched/sched_switch")) << "a slash is a letter like others";
    EXPECT_TRUE(fits("*switch", "attach tracepoint sched/sched_switch"));
    EXPECT_FALSE(fits("attach", "attach xdp"));
    EXPECT_TRUE(fits("a\\*b", "a*b"));
    EXPECT_FALSE(fits("a\\*b", "axb"));
    EXPECT_TRUE(fits("[mp]*", "prog_load xdp"));
}

TEST(AuditStats, Counts) {
    Stats stats;
    for (std::uint64_t i = 0; i < 99; ++i) stats.add(operation(i));
    stats.add(operation(5000, false));
    stats.add(Event{.kind = "gap", .fields = {}}.set("lost", 12));
    EXPECT_EQ(stats.events, 101U);
    EXPECT_EQ(stats.kinds.at("gap"), 1U);
    EXPECT_EQ(stats.verdicts.allowed, 99U);
    EXPECT_EQ(stats.verdicts.refused, 1U);
    EXPECT_EQ(stats.grants.at("agent").all(), 100U);
    EXPECT_EQ(stats.keys.at("allow.map_types").refused, 1U);
    EXPECT_EQ(by_frequency(stats.operations).front().first, "map_create hash");
    EXPECT_EQ(stats.latency_ns(50), 2049U);
    EXPECT_EQ(stats.latency_ns(99), 2098U);
    EXPECT_EQ(stats.latency_ns(100), 7000U);
    EXPECT_EQ(Stats().latency_ns(50), std::nullopt);
}

}  // namespace bpfwarden::audit
