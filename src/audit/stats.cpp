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
    if (event.kind == "policy") return add_told(event, verdict);
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

void Stats::add_told(const Event& event, std::string_view verdict) {
    if (verdict == "entered") {
        ++entered;
        return;
    }
    const auto count = [&](Told& in) {
        ++(verdict == "denied" ? in.denied : verdict == "would_deny" ? in.would_deny : in.allowed);
    };
    count(told);
    count(domains[event.text("domain")]);
    count(policy_operations[event.text("operation")]);
    // Rules of the same name in two policies are two; a default is its domain's.
    const auto policy = event.text("policy"), rule = event.text("rule");
    count(rules[(policy.empty() ? event.text("domain") : policy) + ": " + rule]);
}

std::optional<std::uint64_t> Stats::latency_ns(unsigned percent) {
    if (latency_ns_.empty()) return std::nullopt;
    const auto rank = (latency_ns_.size() * percent + 99) / 100;
    const auto at = latency_ns_.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::ranges::nth_element(latency_ns_, at);
    return *at;
}

}  // namespace bpfwarden::audit
