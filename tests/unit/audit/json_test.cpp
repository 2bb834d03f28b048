// SPDX-License-Identifier: Apache-2.0
#include "audit/json.hpp"

#include <gmock/gmock.h>

#include <algorithm>

#include "audit/escape.hpp"
#include "base/text.hpp"
#include "unit/audit/events.hpp"

namespace bpfwarden::audit {

using ::testing::HasSubstr;

TEST(AuditJson, DotsAreObjectsAndNumbersStayNumbers) {
    Event event{.kind = "operation", .time_ns = 1'773'480'413'589'793'238, .seq = 12, .fields = {}};
    event.set("opener.uid", 1000)
        .set("verdict", "refused")
        .set("opener.exe", "/x")
        .set("offset", -3)
        .set("a.b.c", true);
    EXPECT_EQ(to_json(event),
              R"({"time":"2026-03-14T09:26:53.589793238Z","seq":12,"event":"operation",)"
              R"("opener":{"uid":1000,"exe":"/x"},"verdict":"refused","offset":-3,"a":{"b":{"c":true}}})");
}

TEST(AuditJson, RoundTrip) {
    std::mt19937 random(5);
    const auto sorted = [](Event event) {  // members of a group move together
        std::ranges::sort(event.fields, {}, &Field::name);
        return event;
    };
    for (int i = 0; i < 3000; ++i) {
        auto event = random_event(random);
        event.seq = random();
        const auto line = to_json(event);
        const auto again = from_json(line);
        ASSERT_TRUE(again) << line;
        ASSERT_EQ(sorted(*again), sorted(event)) << line;
    }
}

TEST(AuditJson, ALineIsSafeToPrint) {
    std::mt19937 random(6);
    for (int i = 0; i < 3000; ++i) {
        const auto line = to_json(random_event(random));
        ASSERT_EQ(printable(line), line);
    }
    Event event{.kind = "x", .fields = {}};
    EXPECT_THAT(to_json(event.set("t", "\x1b[31m\xff\"\\\n")), HasSubstr(R"("t":"\\x1b[31m\\xff\"\\\\x0a")"));
}

TEST(AuditJson, EscapesCanBeTakenBack) {
    for (const std::string text : {"", "plain", "\\x41", "\\\\x41", "\\x5cx41", "\\x", "\\x4", "\\xZZ", "\xff\\xff",
                                   "\\\x07", "\\x4\x07", "ä\u202e", "\\xAB", "\\x5c\\x5c", "\\x5cx5cx41"}) {
        EXPECT_EQ(unescape(escape(text)), text) << text;
        EXPECT_EQ(printable(escape(text)), escape(text));
    }
    EXPECT_EQ(escape("C:\\xyz"), "C:\\xyz") << "only what could be mistaken";
    std::mt19937 random(7);
    for (int i = 0; i < 20000; ++i) {
        const auto text = random_text(random, 30);
        ASSERT_EQ(unescape(escape(text)), text);
    }
}

TEST(AuditJson, ReadersTakeWhatANewerWriterAdds) {
    const auto event = from_json(
        R"({"schema":"x/1","time":"2026-03-14T09:26:53Z","event":"e","list":[1,"a"],"none":null,"real":1.5,"deep":{"a":{"b":{"c":{"d":1}}}}})");
    ASSERT_TRUE(event);
    EXPECT_EQ(event->text("list"), R"([1,"a"])");
    EXPECT_EQ(event->find("none"), nullptr);
    EXPECT_EQ(event->text("real"), "1.5");
    EXPECT_EQ(event->find("schema"), nullptr);
    EXPECT_EQ(event->text("deep.a.b.c"), R"({"d":1})");
}

TEST(AuditJson, WhatIsNoEvent) {
    for (const char* line : {"", "{", "[]", "1", "{}", R"({"event":"x"})", R"({"time":"2026-03-14T09:26:53Z"})",
                             R"({"time":1,"event":"x"})", R"({"time":"yesterday","event":"x"})",
                             R"({"time":"2026-03-14T09:26:53Z","event":"x","seq":-1})",
                             R"({"time":"2026-03-14T09:26:53Z","event":"x","seq":"1"})",
                             "{\"time\":\"2026-03-14T09:26:53Z\",\"event\":\"\xff\"}"})
        EXPECT_FALSE(from_json(line)) << line;
    EXPECT_FALSE(from_json(std::string(200000, '['))) << "depth costs no stack";
}

TEST(AuditJson, EveryTruncationAndMutationOfALine) {
    std::mt19937 random(8);
    const auto line = to_json(operation(1, false));
    for (std::size_t size = 0; size < line.size(); ++size) EXPECT_FALSE(from_json(line.substr(0, size)));
    for (int i = 0; i < 5000; ++i) {
        auto changed = line;
        changed[random() % line.size()] = static_cast<char>(random());
        if (const auto event = from_json(changed)) {
            const auto text = to_json(*event);
            ASSERT_EQ(printable(text), text) << changed;
        }
    }
}

}  // namespace bpfwarden::audit
