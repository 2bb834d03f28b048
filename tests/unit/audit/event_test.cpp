// SPDX-License-Identifier: Apache-2.0
#include "audit/event.hpp"

#include <gtest/gtest.h>

#include "unit/audit/events.hpp"

namespace bpfwarden::audit {

TEST(AuditEvent, NamesAreWordsWithDots) {
    for (const char* good : {"a", "opener.uid", "latency_ns", "a.b.c.d", "sha256"}) EXPECT_TRUE(is_name(good)) << good;
    for (const char* bad : {"", ".", "a.", ".a", "a..b", "A", "a b", "a-b", "a.b.c.d.e", "a\n", "\xc3\xa4"})
        EXPECT_FALSE(is_name(bad)) << bad;
    EXPECT_TRUE(is_name(std::string(63, 'a')));
    EXPECT_FALSE(is_name(std::string(64, 'a')));
}

TEST(AuditEvent, WellFormedIsAnObjectOfObjects) {
    EXPECT_TRUE(is_well_formed(operation(1)));
    const auto with = [](std::initializer_list<const char*> names) {
        Event event{.kind = "x", .fields = {}};
        for (const char* name : names) event.fields.push_back({name, Value(true)});
        return event;
    };
    EXPECT_TRUE(is_well_formed(with({"a.b", "a.c", "ab", "a_b"})));
    EXPECT_FALSE(is_well_formed(with({"a", "a"})));
    EXPECT_FALSE(is_well_formed(with({"a", "a.b"})));
    EXPECT_FALSE(is_well_formed(with({"a.b", "a"})));
    for (const char* taken : {"time", "seq", "event", "schema", "time.x"}) EXPECT_FALSE(is_well_formed(with({taken})));
    EXPECT_TRUE(is_well_formed(with({"times"})));
    auto dotted = with({});
    dotted.kind = "a.b";
    EXPECT_FALSE(is_well_formed(dotted));
    Event many{.kind = "x", .fields = {}};
    for (std::size_t i = 0; i < max_fields; ++i) many.set("f" + std::to_string(i), i);
    EXPECT_TRUE(is_well_formed(many));
    EXPECT_FALSE(is_well_formed(many.set("one_more", 1)));
}

TEST(AuditEvent, SetReplaces) {
    Event event{.kind = "x", .fields = {}};
    event.set("session", "mine").set("n", -1).set("n", 5).set("flag", true).set("session", "7");
    EXPECT_EQ(event.fields.size(), 3U);
    EXPECT_EQ(event.text("session"), "7");
    EXPECT_EQ(event.number("n"), 5U);
    EXPECT_EQ(event.text("flag"), "true");
    EXPECT_EQ(event.text("none"), "");
    EXPECT_EQ(event.number("session"), std::nullopt) << "a text is no number";
    Event claimed{.kind = "x", .fields = {}};
    claimed.fields = {{"session.x", Value(true)}, {"opener", Value(true)}, {"sessions", Value(true)}};
    claimed.set("session", "7").set("opener.uid", 5);
    EXPECT_TRUE(is_well_formed(claimed));
    EXPECT_EQ(claimed.fields.size(), 3U) << "what is beside it stays";
}

TEST(AuditEvent, TheSameNumberIsTheSameValue) {
    EXPECT_EQ(Event().set("n", 5).fields, Event().set("n", 5U).fields);
    EXPECT_EQ(Event().set("n", std::int64_t{5}).fields, Event().set("n", std::uint8_t{5}).fields);
    EXPECT_EQ(to_text(Event().set("n", std::int64_t{-5}).fields[0].value), "-5");
}

}  // namespace bpfwarden::audit
