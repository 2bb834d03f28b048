// SPDX-License-Identifier: Apache-2.0
#include "audit/ring.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/audit/rings.hpp"

namespace bpfwarden::audit {

TEST(AuditRing, EventsComeInOrder) {
    auto [consumer, producer] = make_ring();
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(write_number(producer, i));
    EXPECT_EQ(numbers(drain(consumer)), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_TRUE(drain(consumer).empty());
    EXPECT_TRUE(producer.write(encode(operation(1, false))));
    EXPECT_EQ(drain(consumer), std::vector{operation(1, false)});
}

TEST(AuditRing, ManyTimesAround) {
    auto [consumer, producer] = make_ring();
    std::mt19937 random(1);
    std::vector<std::byte> buffer(max_record);
    std::uint64_t written = 0, read = 0;
    for (int round = 0; round < 2000; ++round) {
        for (auto count = random() % 8; count > 0; --count) {
            EventWriter event(buffer, "x");
            event.number("n", written++).text("t", std::string(random() % 1500, 'y'));
            ASSERT_TRUE(producer.write(event.bytes()));
        }
        for (const auto& event : drain(consumer)) ASSERT_EQ(event.number("n"), read++);
    }
    EXPECT_EQ(read, written);
}

TEST(AuditRing, AFullRingCountsExactly) {
    auto [consumer, producer] = make_ring();
    std::uint64_t fitted = 0;
    while (write_number(producer, fitted)) ++fitted;
    for (int i = 0; i < 6; ++i) EXPECT_FALSE(write_number(producer, 1000));
    const auto events = drain(consumer);
    ASSERT_EQ(events.size(), fitted + 1);
    EXPECT_EQ(events.back().kind, "gap");
    EXPECT_EQ(events.back().number("lost"), 7U);
    EXPECT_EQ(events.back().text("where"), "ring");
    EXPECT_TRUE(write_number(producer, 5)) << "there is room again";
    EXPECT_EQ(numbers(drain(consumer)), std::vector<std::uint64_t>{5}) << "and the gap is told once";
}

TEST(AuditRing, AGapStandsWhereTheEventsAreMissing) {
    auto [consumer, producer] = make_ring();
    std::uint64_t fitted = 0;
    while (write_number(producer, fitted)) ++fitted;  // one is lost
    std::vector<Event> events;
    consumer.drain(events, 3);  // not to the end
    EXPECT_EQ(events.size(), 3U) << "nothing is known to be lost between these";
    consumer.release();
    EXPECT_TRUE(write_number(producer, 77));
    consumer.drain(events);
    consumer.release();
    ASSERT_EQ(events.size(), fitted + 2);
    EXPECT_EQ(events[fitted].kind, "gap");
    EXPECT_EQ(events[fitted].number("lost"), 1U);
    EXPECT_EQ(events[fitted + 1].number("n"), 77U);
    EXPECT_TRUE(drain(consumer).empty());
}

// Whatever the order of writing, losing and draining: every event is read or counted, and each gap is in its place.
TEST(AuditRing, EveryEventIsReadOrCounted) {
    std::mt19937 random(2);
    for (int round = 0; round < 50; ++round) {
        auto [consumer, producer] = make_ring();
        std::uint64_t written = 0, next = 0;
        const auto take = [&](std::size_t most) {
            std::vector<Event> events;
            consumer.drain(events, most);
            if (random() % 2 == 0) consumer.release();
            for (const auto& event : events) {
                if (event.kind == "gap") {
                    next += event.number("lost").value_or(0);
                } else {
                    ASSERT_EQ(event.number("n"), next);
                    ++next;
                }
            }
        };
        for (int step = 0; step < 200; ++step) {
            for (auto count = random() % 60; count > 0; --count) write_number(producer, written++);
            take(random() % 3 == 0 ? 5 : 4096);
        }
        consumer.release();
        take(1 << 20);
        ASSERT_EQ(next, written);
    }
}

TEST(AuditRing, ARecordThatIsTooLongIsLost) {
    auto [consumer, producer] = make_ring();
    EXPECT_FALSE(producer.write(std::vector<std::byte>(max_record + 1)));
    const auto events = drain(consumer);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].kind, "gap");
}

TEST(AuditRing, SpaceIsReusedOnlyWhenReleased) {
    auto [consumer, producer] = make_ring();
    std::uint64_t fitted = 0;
    while (write_number(producer, fitted)) ++fitted;
    std::vector<Event> events;
    consumer.drain(events);
    EXPECT_FALSE(write_number(producer, 1)) << "not yet safe";
    consumer.release();
    EXPECT_TRUE(write_number(producer, 2));
}

// A restart of the daemon: the ring is taken over where its events were last safe.
TEST(AuditRing, AnotherConsumerTakesOver) {
    auto [consumer, producer] = make_ring();
    for (std::uint64_t i = 0; i < 4; ++i) write_number(producer, i);
    std::vector<Event> events;
    consumer.drain(events, 2);
    consumer.release();
    consumer.drain(events);  // read, and the daemon dies before they are written down
    auto next = RingConsumer::adopt(UniqueFd(::dup(consumer.memory().get())), UniqueFd(::dup(consumer.wakeup().get())));
    ASSERT_TRUE(next);
    write_number(producer, 4);
    EXPECT_EQ(numbers(drain(*next)), (std::vector<std::uint64_t>{2, 3, 4}));
    EXPECT_FALSE(next->is_corrupt());
}

TEST(AuditRing, MemoryIsCheckedBeforeItIsUsed) {
    auto [consumer, producer] = make_ring();
    EXPECT_NE(::ftruncate(consumer.memory().get(), 0), 0) << "sealed";
    EXPECT_NE(::ftruncate(consumer.memory().get(), 1 << 24), 0);
    write_number(producer, 1);
    EXPECT_FALSE(RingProducer::attach(consumer.memory(), UniqueFd())) << "it has a producer";

    EXPECT_FALSE(RingConsumer::create(1000));
    EXPECT_FALSE(RingConsumer::create(min_ring / 2));
    EXPECT_FALSE(RingConsumer::create(max_ring * 2));
    constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    const auto mapped = [](std::size_t size, int seals, bool magic = true) {
        const UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
        const std::uint64_t start[] = {ring_magic, size - ring_header_size};
        const std::size_t written = magic ? sizeof start : 0;
        EXPECT_EQ(::pwrite(fd.get(), start, written, 0), static_cast<ssize_t>(written));
        EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
        return RingMapping::map(fd).has_value();
    };
    EXPECT_TRUE(mapped(ring_header_size + min_ring, all_seals)) << "control";
    for (const int seal : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL})
        EXPECT_FALSE(mapped(ring_header_size + min_ring, all_seals & ~seal));
    EXPECT_FALSE(mapped(ring_header_size + min_ring, all_seals, false)) << "no ring";
    EXPECT_FALSE(mapped(ring_header_size + min_ring + 8, all_seals)) << "no power of two";
    EXPECT_FALSE(mapped(ring_header_size + min_ring / 2, all_seals)) << "too small";
    EXPECT_FALSE(mapped(0, all_seals, false));
    EXPECT_FALSE(RingMapping::map(UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC))));
}

TEST(AuditRing, TheEventfdIsWrittenOnlyForASleeper) {
    auto [consumer, producer] = make_ring();
    write_number(producer, 1);
    EXPECT_FALSE(is_readable(consumer.wakeup())) << "nobody sleeps";
    EXPECT_FALSE(consumer.prepare_to_sleep()) << "there is something to read";
    drain(consumer);
    EXPECT_TRUE(consumer.prepare_to_sleep());
    write_number(producer, 2);
    EXPECT_TRUE(is_readable(consumer.wakeup()));
    consumer.clear_wakeup();
    write_number(producer, 3);
    EXPECT_FALSE(is_readable(consumer.wakeup())) << "woken once";
    EXPECT_EQ(drain(consumer).size(), 2U);
    EXPECT_TRUE(consumer.prepare_to_sleep());
    producer.write(std::vector<std::byte>(max_record + 1));
    EXPECT_TRUE(is_readable(consumer.wakeup())) << "a loss is news, too";
    EXPECT_FALSE(consumer.prepare_to_sleep());
}

}  // namespace bpfwarden::audit
