// SPDX-License-Identifier: Apache-2.0
#include "audit/log.hpp"

#include <gmock/gmock.h>

#include <set>

#include "audit/sink_journal.hpp"
#include "unit/audit/logs.hpp"

namespace bpfwarden::audit {
namespace {

// Takes as many records of each batch as it is told to.
class LimitedSink : public Sink {
  public:
    LimitedSink(std::size_t& limit, std::vector<Event>& events) : limit_(limit), events_(events) {}
    std::string_view name() const override { return "limited"; }
    Written write(std::span<const LogRecord> batch) override {
        Written written;
        written.count = std::min(limit_, batch.size());
        for (const auto& record : batch.first(written.count)) events_.push_back(record.event);
        if (written.count < batch.size()) written.error = Error::from_errno(ENOSPC, "writing");
        return written;
    }

  private:
    std::size_t& limit_;
    std::vector<Event>& events_;
};

constexpr std::size_t all = ~std::size_t{0};

struct Sinks {
    std::size_t limit = all;
    std::vector<Event> taken, taken_by_other;
    std::size_t other_limit = all;
    Log log;

    Sinks() {
        log.add(std::make_unique<LimitedSink>(limit, taken));
        log.add(std::make_unique<LimitedSink>(other_limit, taken_by_other));
    }
    void write(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) log.append(operation(i));
        log.flush();
    }
};

}  // namespace

TEST(AuditLog, NumbersHaveNoHoles) {
    Sinks sinks;
    sinks.write(3);
    sinks.write(2);
    for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(sinks.taken.at(i).seq, i + 1);
    EXPECT_EQ(sinks.taken, sinks.taken_by_other);
    EXPECT_EQ(sinks.log.last_seq(), 5U);
    EXPECT_EQ(sinks.log.status()[0].written, 5U);
    EXPECT_EQ(sinks.log.status()[0].lost, 0U);
}

TEST(AuditLog, AnEventGetsATimeIfItHasNone) {
    Sinks sinks;
    sinks.log.append(Event{.kind = "daemon_start", .fields = {}});
    sinks.log.flush();
    EXPECT_GT(sinks.taken.at(0).time_ns, 1'600'000'000'000'000'000U);
}

TEST(AuditLog, WhatASinkLosesIsToldThereBeforeTheNext) {
    Sinks sinks;
    sinks.write(2);
    sinks.limit = 1;
    sinks.write(3);  // 3 is taken; 4 and 5 are lost
    sinks.limit = 0;
    sinks.write(2);  // 6 and 7 too
    EXPECT_EQ(sinks.log.status()[0].untold, 4U);
    EXPECT_EQ(sinks.log.status()[0].problem->number(), ENOSPC);
    sinks.limit = all;
    sinks.write(1);
    ASSERT_EQ(sinks.taken.size(), 5U);
    const auto& gap = sinks.taken[3];
    EXPECT_EQ(gap.kind, "gap");
    EXPECT_EQ(gap.seq, 7U);
    EXPECT_EQ(gap.number("first_seq"), 4U);
    EXPECT_EQ(gap.number("lost"), 4U);
    EXPECT_EQ(gap.text("where"), "limited");
    EXPECT_EQ(gap.text("reason"), "No space left on device (ENOSPC)");
    EXPECT_TRUE(gap.text("since").ends_with("Z"));
    EXPECT_EQ(sinks.taken[4].seq, 8U);
    EXPECT_EQ(sinks.taken_by_other.size(), 8U) << "the other lost nothing and is told nothing";
    EXPECT_EQ(sinks.log.status()[0].untold, 0U);
    EXPECT_EQ(sinks.log.status()[0].lost, 4U);
    EXPECT_EQ(sinks.log.status()[0].written, 4U);
    EXPECT_FALSE(sinks.log.status()[0].problem);
}

TEST(AuditLog, OnlyTheGapFits) {
    Sinks sinks;
    sinks.limit = 0;
    sinks.write(2);
    sinks.limit = 1;
    sinks.write(2);  // the gap is taken; 3 and 4 are lost
    sinks.limit = all;
    sinks.write(1);
    ASSERT_EQ(sinks.taken.size(), 3U);
    EXPECT_EQ(sinks.taken[0].number("lost"), 2U);
    EXPECT_EQ(sinks.taken[1].number("first_seq"), 3U);
    EXPECT_EQ(sinks.taken[1].seq, 4U);
}

TEST(AuditLog, AGapIsToldWithoutANewEvent) {
    Sinks sinks;
    sinks.limit = 0;
    sinks.write(2);
    sinks.log.flush();
    EXPECT_TRUE(sinks.taken.empty());
    sinks.limit = all;
    sinks.log.flush();
    sinks.log.flush();
    EXPECT_EQ(sinks.taken.size(), 1U) << "once";
}

// In every order of luck: each number is in the sink, or a gap stands for it.
TEST(AuditLog, EveryNumberIsThereOrAccountedFor) {
    std::mt19937 random(13);
    for (int round = 0; round < 200; ++round) {
        Sinks sinks;
        for (int step = 0; step < 50; ++step) {
            sinks.limit = random() % 3 == 0 ? all : random() % 6;
            sinks.write(random() % 5);
        }
        sinks.limit = all;
        sinks.log.flush();
        std::uint64_t next = 1;
        for (const auto& event : sinks.taken) {
            if (event.kind == "gap") {
                ASSERT_EQ(event.number("first_seq"), next);
                ASSERT_EQ(event.number("lost"), event.seq - next + 1);
            } else {
                ASSERT_EQ(event.seq, next);
            }
            next = event.seq + 1;
        }
        ASSERT_EQ(next, sinks.log.last_seq() + 1);
        ASSERT_EQ(sinks.log.status()[0].written + sinks.log.status()[0].lost, sinks.log.last_seq());
    }
}

TEST(AuditLog, AFloodDoesNotGrowTheBatch) {
    Sinks sinks;
    for (unsigned i = 0; i < 5000; ++i) sinks.log.append(operation(i));
    EXPECT_GE(sinks.taken.size(), 3000U) << "flushed by itself";
}

// The journal itself is systemd's; what it is given is ours.
TEST(AuditJournal, FieldsHaveTheNamesThatTheJournalTakes) {
    using ::testing::Contains;
    auto event = operation(1, false);
    event.seq = 9;
    const auto fields = journal_fields(event);
    EXPECT_THAT(fields, Contains("PRIORITY=4"));
    EXPECT_THAT(fields, Contains("BPFWARDEN_OPENER_UID=1001"));
    EXPECT_THAT(fields, Contains("BPFWARDEN_EVENT=operation"));
    EXPECT_THAT(fields, Contains("BPFWARDEN_SEQ=9"));
    EXPECT_THAT(fields, Contains("MESSAGE=refused map_create lpm_trie by uid 1001 pid 42 /usr/bin/agent: EPERM, "
                                 "allow.map_types (agent.toml:9:17) [grant agent, session 7]"));
    EXPECT_THAT(journal_fields(operation(1)), Contains("PRIORITY=6"));
    EXPECT_THAT(journal_fields(Event{.kind = "gap", .fields = {}}), Contains("PRIORITY=4"));
    std::set<std::string> names;
    for (const auto& field : fields) {
        const auto name = field.substr(0, field.find('='));
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_EQ(name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), std::string::npos) << name;
    }
}

}  // namespace bpfwarden::audit
