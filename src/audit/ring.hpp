// SPDX-License-Identifier: Apache-2.0
// Events from one worker to the daemon, through memory that both have mapped: no system call while the daemon is
// awake. One producer, one consumer. What the producer has completely written is read even if it is killed right after;
// what it has half written is never read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/event.hpp"
#include "audit/record.hpp"
#include "audit/ring_layout.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::audit {

inline constexpr std::size_t default_ring = std::size_t{1} << 18;  // some 400 events of 20 fields

// The worker's side.
class RingProducer {
  public:
    // A ring serves one producer in its life. `wakeup` is the eventfd of the same ring.
    static Result<RingProducer> attach(FdRef memory, UniqueFd wakeup);

    // Publishes one record (EventWriter::bytes()) before it returns. Never blocks: without room the event is counted as
    // lost, for the consumer to tell, and the answer is false.
    bool write(std::span<const std::byte> record);

  private:
    RingProducer(RingMapping ring, UniqueFd wakeup) : ring_(std::move(ring)), wakeup_(std::move(wakeup)) {}
    bool has_room(std::size_t size);
    void wake();

    RingMapping ring_;
    UniqueFd wakeup_;
    std::uint64_t head_ = 0, tail_ = 0;  // tail_: as last seen
    std::uint64_t sequence_ = 0;
    std::uint64_t lost_ = 0;
};

// The daemon's side. It trusts nothing that it reads:
//
// Soundness: the producer may be compromised and write anything to the shared memory at any time. Positions are kept
// here and never read back; every number from the memory is read once, checked, and then used from the copy; a record
// is copied whole before it is looked at. Whatever does not add up makes the ring corrupt: that is told once, as an
// event, and the ring is never read again, so a hostile producer loses its own events and costs no time. The daemon
// then ends the worker.
class RingConsumer {
  public:
    // `capacity`: a power of two from min_ring to max_ring.
    static Result<RingConsumer> create(std::size_t capacity = default_ring);
    // Takes over a ring that an earlier consumer made and left in the hands of its producer (a restart of the daemon).
    static Result<RingConsumer> adopt(UniqueFd memory, UniqueFd wakeup);

    // For the worker. The eventfd belongs to this ring alone: with a shared one, a worker could read away the wakeups
    // of others.
    FdRef memory() const { return memory_; }
    FdRef wakeup() const { return wakeup_; }

    // Appends what has been published, oldest first, at most `most` records. Among it, where they belong:
    //   gap      {lost: N, where: "ring"}       N events found the ring full
    //   corrupt  {where: "ring", reason: "…"}   last one ever
    // Their time is now. Returns how many records were read.
    std::size_t drain(std::vector<Event>& events, std::size_t most = 4096);
    // Gives the room of what was drained back to the producer. Call it when the events are safe (Log::flush): until
    // then another consumer would read them again.
    void release();

    // Call it before poll() on wakeup(), and sleep only if it says true; false: drain again first.
    bool prepare_to_sleep();
    // Call it when wakeup() is readable.
    void clear_wakeup();

    bool is_corrupt() const { return corrupt_; }

  private:
    RingConsumer(RingMapping ring, UniqueFd memory, UniqueFd wakeup)
        : ring_(std::move(ring)), memory_(std::move(memory)), wakeup_(std::move(wakeup)) {}
    void tell_lost(std::vector<Event>& events, std::uint64_t count);
    void tell_corrupt(std::vector<Event>& events, std::string_view reason);
    bool take_record(std::vector<Event>& events, std::uint64_t head);

    RingMapping ring_;
    UniqueFd memory_, wakeup_;
    std::vector<std::byte> record_ = std::vector<std::byte>(max_record);  // the private copy
    std::uint64_t tail_ = 0;
    std::uint64_t expected_ = 0;  // sequence of the next record
    std::uint64_t told_ = 0;      // lost events that gap events were made for
    bool corrupt_ = false;
};

}  // namespace bpfwarden::audit
