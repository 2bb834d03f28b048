// SPDX-License-Identifier: Apache-2.0
// What a ring's memory looks like to both sides. For ring_producer.cpp, ring_consumer.cpp and the tests that play a
// hostile producer.
//
// The memfd is a page of header, then the data. Both sides map the data twice in a row, so that a record which wraps
// around the end is one piece to each of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::audit {

// Positions count bytes from the ring's beginning of life and never wrap (2^64 bytes are 500 years at 1 GB/s).
struct RingHeader {
    std::uint64_t magic;
    std::uint64_t capacity;  // of the data: a power of two

    // The producer's: how far it has published, and how many events found no room.
    alignas(64) std::atomic<std::uint64_t> head;
    std::atomic<std::uint64_t> lost;

    // The consumer's: how far it has read (what is behind may be written over), which event it expects next, and how
    // many it has told to be lost. It keeps its own copies and writes these for the producer, and for a consumer that
    // takes the ring over after a restart of the daemon.
    alignas(64) std::atomic<std::uint64_t> tail;
    std::atomic<std::uint64_t> expected;
    std::atomic<std::uint64_t> told;

    // Set by the consumer before it sleeps, taken by the producer that wakes it.
    alignas(64) std::atomic<std::uint32_t> needs_wakeup;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);  // so they work between processes
static_assert(sizeof(RingHeader) <= 4096);

// Before each record's bytes. Records start at multiples of eight.
struct RecordHeader {
    std::uint64_t sequence;  // counts the events of this producer, lost ones too
    std::uint64_t length;    // of the bytes behind
};

inline constexpr std::uint64_t ring_magic = 0x31676e6972647762;  // "bwdring1"
inline constexpr std::size_t ring_header_size = 4096;
inline constexpr std::size_t min_ring = std::size_t{1} << 14, max_ring = std::size_t{1} << 26;

constexpr std::size_t record_span(std::size_t length) { return (sizeof(RecordHeader) + length + 7) & ~std::size_t{7}; }

// The memory of a ring, as one side sees it.
class RingMapping {
  public:
    // Fails unless `memory` is a memfd of the right size that nobody can resize any more.
    static Result<RingMapping> map(FdRef memory);

    RingMapping(const RingMapping&) = delete;
    RingMapping& operator=(const RingMapping&) = delete;
    RingMapping(RingMapping&& other) noexcept;
    RingMapping& operator=(RingMapping&& other) noexcept;
    ~RingMapping();

    RingHeader& header() const { return *reinterpret_cast<RingHeader*>(base_); }
    // Where the data of a position lies; a whole capacity() can be read or written from there on.
    std::byte* at(std::uint64_t position) const { return base_ + ring_header_size + (position & (capacity_ - 1)); }
    // As checked when it was mapped: never read again from memory that the other side can write.
    std::size_t capacity() const { return capacity_; }

  private:
    RingMapping(std::byte* base, std::size_t capacity) : base_(base), capacity_(capacity) {}
    std::byte* base_;
    std::size_t capacity_;
};

}  // namespace bpfwarden::audit
