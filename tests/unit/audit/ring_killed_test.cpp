// SPDX-License-Identifier: Apache-2.0
// A worker that is killed at any instant: what it had completely written is read, in order, and nothing else.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "unit/audit/rings.hpp"

namespace bpfwarden::audit {
namespace {

// How many events the child knows to be written: counted after write() came back.
std::atomic<std::uint64_t>& shared_counter() {
    static auto* counter = static_cast<std::atomic<std::uint64_t>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    return *counter;
}

pid_t start_producer(RingProducer& producer) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    std::mt19937 random(static_cast<unsigned>(::getpid()));
    std::array<std::byte, max_record> buffer;
    for (std::uint64_t i = 0;; ++i) {
        EventWriter event(buffer, "x", 1);
        event.number("n", i).text("t", std::string(random() % 900, static_cast<char>('a' + i % 26)));
        producer.write(event.bytes());
        shared_counter().store(i + 1);
    }
}

struct Counted {
    std::uint64_t next = 0, read = 0, lost = 0;

    void take(const std::vector<Event>& events) {
        for (const auto& event : events) {
            if (event.kind == "gap") {
                lost += event.number("lost").value_or(0);
                next += event.number("lost").value_or(0);
                continue;
            }
            ASSERT_EQ(event.kind, "x");
            ASSERT_EQ(event.number("n"), next);
            const auto text = event.text("t");
            ASSERT_EQ(text, std::string(text.size(), static_cast<char>('a' + next % 26)));
            ++next;
            ++read;
        }
    }
};

void run_and_kill(std::chrono::microseconds lifetime, bool drain_meanwhile, Counted& counted) {
    shared_counter() = 0;
    auto [consumer, producer] = make_ring(min_ring * 4);
    const pid_t child = start_producer(producer);
    ASSERT_GT(child, 0);
    // It must have begun, or there is nothing to kill.
    while (shared_counter() == 0) std::this_thread::yield();
    const auto end = std::chrono::steady_clock::now() + lifetime;
    while (std::chrono::steady_clock::now() < end)
        if (drain_meanwhile) counted.take(drain(consumer));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (auto events = drain(consumer); !events.empty(); events = drain(consumer)) counted.take(events);
    EXPECT_FALSE(consumer.is_corrupt());
    // The one it was at may be there or not.
    EXPECT_GE(counted.next, shared_counter().load());
    EXPECT_LE(counted.next, shared_counter().load() + 1);
}

}  // namespace

TEST(AuditRingKilled, EverythingWrittenIsReadInOrder) {
    std::mt19937 random(11);
    const int rounds = std::getenv("BPFWARDEN_SOAK") ? 5000 : 200;
    std::uint64_t read = 0, lost = 0;
    for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
        Counted counted;
        run_and_kill(std::chrono::microseconds(random() % 2000), round % 2 == 0, counted);
        read += counted.read;
        lost += counted.lost;
    }
    EXPECT_GT(read, 0U);
    RecordProperty("read", static_cast<int>(read));
    RecordProperty("lost", static_cast<int>(lost));
}

TEST(AuditRingKilled, StressWithoutEnd) {
    Counted counted;
    run_and_kill(std::chrono::milliseconds(500), true, counted);
    EXPECT_GT(counted.read, 100U);
}

}  // namespace bpfwarden::audit
