// SPDX-License-Identifier: Apache-2.0
// No wakeup is missed. The producer writes one event and waits for it to be read, so a consumer that sleeps through
// one sleeps forever.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "unit/audit/rings.hpp"

namespace bpfwarden::audit {

static void spin(std::uint64_t turns) {
    for (; turns > 0; --turns) std::atomic_signal_fence(std::memory_order_seq_cst);
}

TEST(AuditRingWakeup, NoneIsMissed) {
    const std::uint64_t rounds = std::getenv("BPFWARDEN_SOAK") ? 2'000'000 : 20'000;
    auto [consumer, producer] = make_ring();
    auto* read = static_cast<std::atomic<std::uint64_t>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t child = ::fork();
    if (child == 0) {
        std::mt19937 random(12);
        for (std::uint64_t i = 0; i < rounds; ++i) {
            while (read->load() < i) std::this_thread::yield();
            // Sometimes at once, while the consumer is about to sleep; sometimes when it does.
            spin(random() % 1000);
            write_number(producer, i);
        }
        ::_exit(0);
    }
    std::mt19937 random(13);
    std::uint64_t slept = 0;
    while (read->load() < rounds) {
        const auto events = drain(consumer);
        for (const auto& event : events) ASSERT_EQ(event.number("n"), read->load());
        *read += events.size();
        if (read->load() == rounds) break;
        // The producer starts at about this moment: what follows is to happen just before, just after, and at once.
        spin(random() % 1000);
        if (!consumer.prepare_to_sleep()) continue;
        ++slept;
        if (!is_readable(consumer.wakeup(), 60'000)) {
            ADD_FAILURE() << "asleep for a minute, at event " << read->load() << " of " << rounds;
            ::kill(child, SIGKILL);
            break;
        }
        consumer.clear_wakeup();
    }
    ::waitpid(child, nullptr, 0);
    EXPECT_GT(slept, 0U);
    RecordProperty("slept", static_cast<int>(slept));
}

}  // namespace bpfwarden::audit
