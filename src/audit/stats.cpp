// SPDX-License-Identifier: Apache-2.0
#include "audit/stats.hpp"

#include <algorithm>

namespace bpfwarden::audit {

void Stats::add(const Event& event) {
    first_ns = events == 0 ? event.time_ns : std::min(first_ns, event.time_ns);
    last_ns = std::max(last_ns, event.time_ns);
    ++events;
    ++kinds[event.kind];
    const auto verdict = event.text("verdict");
    const bool allowed = verdict == "allowed";
    if (!allowed && verdict != "refused") return;
    const auto count = [&](Verdicts& in) { ++(allowed ? in.allowed : in.refused); };
    count(verdicts);
    const auto count_by = [&](std::string_view name, Counts& counts) {
        if (const auto value = event.text(name); !value.empty()) count(counts[value]);
    };
    count_by("grant", grants);
    count_by("operation", operations);
    count_by("key", keys);
    if (const auto latency = event.number("latency_ns")) latency_ns_.push_back(*latency);
}

std::optional<std::uint64_t> Stats::latency_ns(unsigned percent) {
    if (latency_ns_.empty()) return std::nullopt;
    const auto rank = (latency_ns_.size() * percent + 99) / 100;
    const auto at = latency_ns_.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::ranges::nth_element(latency_ns_, at);
    return *at;
}

std::vector<std::pair<std::string_view, Verdicts>> by_frequency(const Stats::Counts& counts) {
    std::vector<std::pair<std::string_view, Verdicts>> sorted(counts.begin(), counts.end());
    std::ranges::stable_sort(sorted, std::ranges::greater{}, [](const auto& one) { return one.second.all(); });
    return sorted;
}

}  // namespace bpfwarden::audit
