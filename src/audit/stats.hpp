// SPDX-License-Identifier: Apache-2.0
// Counts over many events.
#pragma once

#include <algorithm>
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

// Verdicts of policies.
struct Told {
    std::uint64_t denied = 0, would_deny = 0, allowed = 0;
    std::uint64_t all() const { return denied + would_deny + allowed; }
};

class Stats {
  public:
    void add(const Event& event);

    using Counts = std::map<std::string, Verdicts, std::less<>>;
    std::uint64_t events = 0;
    std::uint64_t first_ns = 0, last_ns = 0;  // the earliest and the latest
    std::map<std::string, std::uint64_t, std::less<>> kinds;
    Verdicts verdicts;
    Counts grants, operations, keys;  // of events with a verdict, policies' events apart

    using ToldCounts = std::map<std::string, Told, std::less<>>;
    Told told;  // by policies
    std::uint64_t entered = 0;
    ToldCounts domains, rules, policy_operations;

    std::uint64_t latencies() const { return latency_ns_.size(); }
    // The smallest latency that `percent` of all do not exceed (nearest rank).
    std::optional<std::uint64_t> latency_ns(unsigned percent);

  private:
    void add_told(const Event& event, std::string_view verdict);

    std::vector<std::uint64_t> latency_ns_;
};

// The most frequent first.
template <class Counts>
auto by_frequency(const Counts& counts) {
    std::vector<std::pair<std::string_view, typename Counts::mapped_type>> sorted(counts.begin(), counts.end());
    std::ranges::stable_sort(sorted, std::ranges::greater{}, [](const auto& one) { return one.second.all(); });
    return sorted;
}

}  // namespace bpfwarden::audit
