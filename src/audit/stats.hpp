// SPDX-License-Identifier: Apache-2.0
// Counts over many events.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/event.hpp"

namespace bpfwarden::audit {

struct Verdicts {
    std::uint64_t allowed = 0, refused = 0;
    std::uint64_t all() const { return allowed + refused; }
};

class Stats {
  public:
    void add(const Event& event);

    using Counts = std::map<std::string, Verdicts, std::less<>>;
    std::uint64_t events = 0;
    std::uint64_t first_ns = 0, last_ns = 0;  // the earliest and the latest
    std::map<std::string, std::uint64_t, std::less<>> kinds;
    Verdicts verdicts;
    Counts grants, operations, keys;  // of events with a verdict

    std::uint64_t latencies() const { return latency_ns_.size(); }
    // The smallest latency that `percent` of all do not exceed (nearest rank).
    std::optional<std::uint64_t> latency_ns(unsigned percent);

  private:
    std::vector<std::uint64_t> latency_ns_;
};

// The most frequent first.
std::vector<std::pair<std::string_view, Verdicts>> by_frequency(const Stats::Counts& counts);

}  // namespace bpfwarden::audit
