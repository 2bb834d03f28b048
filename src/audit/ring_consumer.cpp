// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstring>

#include "audit/record.hpp"
#include "audit/ring.hpp"

namespace bpfwarden::audit {

static Result<UniqueFd> make_memory(std::size_t capacity) {
    UniqueFd memory(::memfd_create("bpfwarden-audit", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return fail_errno("memfd_create for an audit ring");
    if (::ftruncate(memory.get(), static_cast<off_t>(ring_header_size + capacity)) != 0)
        return fail_errno("sizing an audit ring");
    const std::uint64_t start[] = {ring_magic, capacity};
    static_assert(offsetof(RingHeader, magic) == 0 && offsetof(RingHeader, capacity) == 8);
    if (::pwrite(memory.get(), start, sizeof start, 0) != static_cast<ssize_t>(sizeof start))
        return fail_errno("writing an audit ring");
    if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail_errno("sealing an audit ring");
    return memory;
}

Result<RingConsumer> RingConsumer::create(std::size_t capacity) {
    if (!std::has_single_bit(capacity) || capacity < min_ring || capacity > max_ring)
        return fail(Code::usage, "an audit ring cannot be " + std::to_string(capacity) + " bytes");
    auto memory = BW_TRY(make_memory(capacity));
    UniqueFd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wakeup) return fail_errno("eventfd for an audit ring");
    auto ring = BW_TRY(RingMapping::map(memory));
    return RingConsumer(std::move(ring), std::move(memory), std::move(wakeup));
}

Result<RingConsumer> RingConsumer::adopt(UniqueFd memory, UniqueFd wakeup) {
    auto ring = BW_TRY(RingMapping::map(memory));
    RingConsumer consumer(std::move(ring), std::move(memory), std::move(wakeup));
    // The producer could have changed these. They are positions among its own events, and drain() checks them as
    // it checks all else.
    const auto& header = consumer.ring_.header();
    consumer.tail_ = header.tail.load(std::memory_order_relaxed);
    consumer.expected_ = header.expected.load(std::memory_order_relaxed);
    consumer.told_ = header.told.load(std::memory_order_relaxed);
    return consumer;
}

void RingConsumer::tell_lost(std::vector<Event>& events, std::uint64_t count) {
    auto& gap = events.emplace_back(Event{.kind = "gap", .time_ns = now_ns(), .fields = {}});
    gap.set("where", "ring").set("lost", count).set("reason", "the ring was full");
    expected_ += count;
    told_ += count;
}

void RingConsumer::tell_corrupt(std::vector<Event>& events, std::string_view reason) {
    auto& corrupt = events.emplace_back(Event{.kind = "corrupt", .time_ns = now_ns(), .fields = {}});
    corrupt.set("where", "ring").set("reason", reason);
    corrupt_ = true;
}

// The record at tail_, of those before `head` (checked: head - tail_ is at most the capacity, and not 0).
bool RingConsumer::take_record(std::vector<Event>& events, std::uint64_t head) {
    const auto refuse = [&](std::string_view reason) {
        tell_corrupt(events, reason);
        return false;
    };
    const std::uint64_t published = head - tail_;
    if (published < sizeof(RecordHeader)) return refuse("a record is cut off");
    // Through atomics, so that the compiler cannot read the memory twice.
    auto* words = reinterpret_cast<std::uint64_t*>(ring_.at(tail_));
    const RecordHeader header{.sequence = std::atomic_ref(words[0]).load(std::memory_order_relaxed),
                              .length = std::atomic_ref(words[1]).load(std::memory_order_relaxed)};
    if (header.length > max_record || record_span(header.length) > published)
        return refuse("a record is longer than what was written");
    if (header.sequence < expected_) return refuse("records are out of order");
    if (header.sequence > expected_) tell_lost(events, header.sequence - expected_);
    std::memcpy(record_.data(), words + 2, header.length);
    // The copy is made before anything in it is decided on.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    auto event = decode(std::span(record_).first(header.length));
    if (!event) return refuse("a record is not an event");
    events.push_back(std::move(*event));
    tail_ += record_span(header.length);
    expected_ = header.sequence + 1;
    return true;
}

std::size_t RingConsumer::drain(std::vector<Event>& events, std::size_t most) {
    if (corrupt_) return 0;
    // `lost` before `head`: the producer stores both in the order of its events, so all records before a loss that is
    // counted here are seen below. What then is lost and not behind a later record is behind the last one.
    const auto lost = ring_.header().lost.load(std::memory_order_acquire);
    const auto head = ring_.header().head.load(std::memory_order_acquire);
    if (head - tail_ > ring_.capacity() || head % 8 != 0 || tail_ % 8 != 0) {
        tell_corrupt(events, "its positions are impossible");
        return 0;
    }
    std::size_t count = 0;
    for (; tail_ != head && count < most; ++count)
        if (!take_record(events, head)) return count;
    if (tail_ == head && lost > told_) tell_lost(events, lost - told_);
    return count;
}

void RingConsumer::release() {
    auto& header = ring_.header();
    header.expected.store(expected_, std::memory_order_relaxed);
    header.told.store(told_, std::memory_order_relaxed);
    // Release: everything was copied before the producer may write over it.
    header.tail.store(tail_, std::memory_order_release);
}

// The other half of RingProducer::wake(), which has the argument. A producer that clears needs_wakeup, or never writes
// the eventfd, delays its own events until the worker ends and the ring is drained once more.
bool RingConsumer::prepare_to_sleep() {
    if (corrupt_) return true;
    auto& header = ring_.header();
    header.needs_wakeup.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (header.head.load(std::memory_order_relaxed) == tail_ && header.lost.load(std::memory_order_relaxed) <= told_)
        return true;
    header.needs_wakeup.store(0, std::memory_order_relaxed);
    return false;
}

void RingConsumer::clear_wakeup() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wakeup_.get(), &count, sizeof count);
}

}  // namespace bpfwarden::audit
