// SPDX-License-Identifier: Apache-2.0
// Rings for tests.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "audit/record.hpp"
#include "audit/ring.hpp"
#include "unit/audit/events.hpp"

namespace bpfwarden::audit {

inline std::pair<RingConsumer, RingProducer> make_ring(std::size_t capacity = min_ring) {
    auto consumer = RingConsumer::create(capacity);
    if (!consumer) std::abort();
    auto producer = RingProducer::attach(consumer->memory(), UniqueFd(::dup(consumer->wakeup().get())));
    if (!producer) std::abort();
    return {std::move(*consumer), std::move(*producer)};
}

inline bool write_number(RingProducer& producer, std::uint64_t number) {
    std::array<std::byte, 256> buffer;
    return producer.write(EventWriter(buffer, "x", 1).number("n", number).bytes());
}

inline std::vector<Event> drain(RingConsumer& consumer) {
    std::vector<Event> events;
    consumer.drain(events);
    consumer.release();
    return events;
}

inline std::vector<std::uint64_t> numbers(const std::vector<Event>& events) {
    std::vector<std::uint64_t> all;
    for (const auto& event : events) all.push_back(event.number("n").value_or(~std::uint64_t{0}));
    return all;
}

inline bool is_readable(FdRef fd, int timeout_ms = 0) {
    pollfd polled{fd.get(), POLLIN, 0};
    return ::poll(&polled, 1, timeout_ms) == 1;
}

}  // namespace bpfwarden::audit
