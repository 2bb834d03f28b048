// SPDX-License-Identifier: Apache-2.0
// A producer that writes what it likes where it likes. The control in each case is that honest use of the same ring is
// read; the attack must cost at most its own events, once, and no time.
#include <gmock/gmock.h>

#include <functional>

#include "unit/audit/rings.hpp"

namespace bpfwarden::audit {
namespace {

struct Attacked {
    std::vector<Event> events;
    bool corrupt = false;
};

// One honest event, then the attack, then honest events again.
Attacked attack(const std::function<void(RingMapping&)>& change) {
    auto [consumer, producer] = make_ring();
    write_number(producer, 0);
    EXPECT_EQ(numbers(drain(consumer)), std::vector<std::uint64_t>{0}) << "control";
    write_number(producer, 1);
    write_number(producer, 2);
    auto memory = RingMapping::map(consumer.memory());
    change(*memory);
    Attacked attacked;
    for (int i = 0; i < 5; ++i) {
        consumer.drain(attacked.events);
        consumer.release();
        change(*memory);
        write_number(producer, 3);
    }
    attacked.corrupt = consumer.is_corrupt();
    EXPECT_TRUE(!attacked.corrupt || consumer.prepare_to_sleep()) << "it must not keep the daemon awake";
    return attacked;
}

// The attack is told in exactly one event, and nothing is read behind it.
void expect_corrupt(const std::function<void(RingMapping&)>& change, std::string_view reason) {
    const auto attacked = attack(change);
    EXPECT_TRUE(attacked.corrupt) << reason;
    ASSERT_FALSE(attacked.events.empty());
    EXPECT_EQ(attacked.events.back().kind, "corrupt");
    EXPECT_EQ(attacked.events.back().text("reason"), reason);
    EXPECT_EQ(std::ranges::count(attacked.events, "corrupt", &Event::kind), 1);
}

std::uint64_t& word(RingMapping& ring, std::uint64_t position) {
    return *reinterpret_cast<std::uint64_t*>(ring.at(position));
}

// The second record: behind the one that is read.
std::uint64_t second(const RingMapping& ring) { return ring.header().tail.load(); }

}  // namespace

TEST(AuditHostileRing, Positions) {
    const auto head = [](std::uint64_t by) { return [by](RingMapping& ring) { ring.header().head += by; }; };
    expect_corrupt(head(1), "its positions are impossible");
    expect_corrupt(head(min_ring), "its positions are impossible");
    expect_corrupt(head(std::uint64_t{1} << 63), "its positions are impossible");
    expect_corrupt([](RingMapping& ring) { ring.header().head = 0; }, "its positions are impossible");
    expect_corrupt(head(8), "a record is cut off");
    // Zeros are an empty record.
    expect_corrupt(head(16), "records are out of order");
}

TEST(AuditHostileRing, TailAndTheConsumersOtherWordsAreNotReadBack) {
    const auto attacked = attack([](RingMapping& ring) {
        ring.header().tail = 12345;
        ring.header().expected = ~std::uint64_t{0};
        ring.header().told = ~std::uint64_t{0};
        ring.header().magic = 0;
        ring.header().capacity = 8;
    });
    EXPECT_FALSE(attacked.corrupt);
    EXPECT_EQ(numbers(attacked.events).front(), 1U);
}

TEST(AuditHostileRing, Lengths) {
    for (const std::uint64_t length :
         {std::uint64_t{max_record} + 1, std::uint64_t{min_ring}, ~std::uint64_t{0}, ~std::uint64_t{0} - 15,
          ~std::uint64_t{0} - 23, std::uint64_t{1} << 63, std::uint64_t{1} << 32, std::uint64_t{200}})
        expect_corrupt([&](RingMapping& ring) { word(ring, second(ring) + 8) = length; },
                       "a record is longer than what was written");
}

TEST(AuditHostileRing, Sequences) {
    expect_corrupt([](RingMapping& ring) { word(ring, second(ring)) = 0; }, "records are out of order");
    const auto jumped = attack([](RingMapping& ring) { word(ring, second(ring)) = ~std::uint64_t{0}; });
    EXPECT_EQ(jumped.events.front().kind, "gap") << "it can claim to have lost what it likes";
}

TEST(AuditHostileRing, Bytes) {
    expect_corrupt([](RingMapping& ring) { word(ring, second(ring) + 24) = ~std::uint64_t{0}; },
                   "a record is not an event");
    expect_corrupt([](RingMapping& ring) { word(ring, second(ring) + 8) = 0; }, "a record is not an event");
}

TEST(AuditHostileRing, ClaimsOfLossAreToldButEndless) {
    auto [consumer, producer] = make_ring();
    auto memory = RingMapping::map(consumer.memory());
    for (const std::uint64_t lost : {std::uint64_t{5}, std::uint64_t{3}, ~std::uint64_t{0}, std::uint64_t{1}}) {
        memory->header().lost = lost;
        EXPECT_LE(drain(consumer).size(), 1U);
    }
    write_number(producer, 1);
    drain(consumer);
    EXPECT_TRUE(consumer.prepare_to_sleep());
}

TEST(AuditHostileRing, RandomMemory) {
    std::mt19937 random(9);
    const int rounds = std::getenv("BPFWARDEN_SOAK") ? 20000 : 500;
    for (int round = 0; round < rounds; ++round) {
        auto [consumer, producer] = make_ring();
        auto memory = RingMapping::map(consumer.memory());
        for (std::uint64_t i = 0; i < random() % 200; ++i) write_number(producer, i);
        std::size_t corrupt = 0;
        for (int step = 0; step < 10; ++step) {
            for (auto changes = random() % 4; changes > 0; --changes) {
                const auto at = (random() % (ring_header_size / 64 + min_ring / 8)) * 8;
                auto& target =
                    at < 256 ? *(reinterpret_cast<std::uint64_t*>(&memory->header()) + at / 8) : word(*memory, at);
                target = random() % 2 == 0 ? random() % 300 : std::uint64_t{random()} << 32 | random();
            }
            std::vector<Event> events;
            consumer.drain(events);
            consumer.release();
            ASSERT_LE(events.size(), 2 * min_ring / sizeof(RecordHeader) + 2);
            for (const auto& event : events) {
                ASSERT_TRUE(is_well_formed(event));
                corrupt += event.kind == "corrupt" ? 1U : 0U;
            }
        }
        ASSERT_LE(corrupt, 1U);
        ASSERT_EQ(corrupt == 1, consumer.is_corrupt());
    }
}

// The next daemon takes over a ring whose consumer's words were changed, too.
TEST(AuditHostileRing, AdoptedWithWrongWords) {
    std::mt19937 random(10);
    for (int round = 0; round < 200; ++round) {
        auto [consumer, producer] = make_ring();
        for (std::uint64_t i = 0; i < 100; ++i) write_number(producer, i);
        auto memory = RingMapping::map(consumer.memory());
        memory->header().tail = random() % 2 == 0 ? random() % 8000 : std::uint64_t{random()} << 40;
        memory->header().expected = random() % 200;
        auto next = RingConsumer::adopt(UniqueFd(::dup(consumer.memory().get())), UniqueFd());
        ASSERT_TRUE(next);
        ASSERT_LE(drain(*next).size(), 202U);
    }
}

}  // namespace bpfwarden::audit
