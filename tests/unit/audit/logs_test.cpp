// SPDX-License-Identifier: Apache-2.0
#include "audit/logs.hpp"

#include "unit/audit/logs.hpp"

namespace bpfwarden::audit {

class AuditLogs : public LogFolder {
  protected:
    static std::string line(std::uint64_t second, std::uint64_t seq, const std::string& kind) {
        return to_json(Event{.kind = kind, .time_ns = second * 1'000'000'000, .seq = seq, .fields = {}}) + "\n";
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(folder_ / name, std::ios::app) << text;
    }
    static std::string kinds(Logs& logs) {
        std::string text;
        while (const auto item = logs.next()) {
            const auto* event = std::get_if<Event>(&*item);
            text += event ? event->kind : std::holds_alternative<Hole>(*item) ? "(hole)" : "(bad)";
        }
        return text;
    }
    std::vector<std::string> both() const { return {folder_ / "a", folder_ / "b"}; }
};

TEST_F(AuditLogs, AreOneInTheOrderOfTime) {
    write("a", line(1, 1, "a") + line(4, 2, "b") + line(9, 5, "c"));
    write("b", line(2, 1, "x") + line(3, 2, "y") + "broken\n" + line(5, 3, "z"));
    auto logs = Logs::open(both());
    ASSERT_TRUE(logs);
    EXPECT_EQ(logs->whole_since(), 0U);
    EXPECT_EQ(kinds(*logs), "axy(bad)b(hole)zc") << "a hole stands before its own log's next event";
    write("b", line(7, 4, "w"));
    EXPECT_EQ(kinds(*logs), "w") << "what is written later comes later";
}

TEST_F(AuditLogs, OneMayBeMissing) {
    write("b", line(2, 1, "x"));
    auto logs = Logs::open(both());
    ASSERT_TRUE(logs);
    EXPECT_EQ(kinds(*logs), "x");
    write("b", "");
    EXPECT_EQ(Logs::open(std::vector<std::string>{folder_ / "a", folder_ / "c"}).error().code(), Code::not_found);
}

// The end of a long log and all of a short one: before the long one's first line, something may be missing.
TEST_F(AuditLogs, SayFromWhenOnTheyAreWhole) {
    for (std::uint64_t i = 1; i <= 100; ++i) write("a", line(i, i, "a"));
    write("b", line(2, 1, "x"));
    auto logs = Logs::open(both(), 500);
    ASSERT_TRUE(logs);
    (void)kinds(*logs);
    EXPECT_GT(logs->whole_since(), std::uint64_t{90} * 1'000'000'000);
    EXPECT_LE(logs->whole_since(), std::uint64_t{100} * 1'000'000'000);
}

}  // namespace bpfwarden::audit
