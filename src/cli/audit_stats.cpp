// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit stats`
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "audit/stats.hpp"
#include "audit/time.hpp"
#include "base/text.hpp"
#include "cli/audit.hpp"

namespace bpfwarden::cli {
namespace {

using audit::Stats;
using nlohmann::ordered_json;

constexpr unsigned percents[] = {50, 99};
constexpr std::size_t most_rows = 20;

struct Missing {
    std::uint64_t told = 0;    // by gap events
    std::uint64_t events = 0;  // in holes
    std::uint64_t bad_lines = 0;
};

std::string in_microseconds(std::uint64_t ns) { return fmt::format("{}.{:03} µs", ns / 1000, ns % 1000); }

template <std::size_t N>
using Columns = std::array<std::pair<std::string_view, std::uint64_t>, N>;
Columns<2> columns(const audit::Verdicts& of) { return {{{"allowed", of.allowed}, {"refused", of.refused}}}; }
Columns<3> columns(const audit::Told& of) {
    return {{{"denied", of.denied}, {"would_deny", of.would_deny}, {"allowed", of.allowed}}};
}

template <class Counts>
void print_table(std::string_view title, const Counts& counts) {
    if (counts.empty()) return;
    const auto sorted = audit::by_frequency(counts);
    std::size_t width = title.size();
    for (const auto& [name, _] : sorted) width = std::max(width, std::min<std::size_t>(printable(name).size(), 60));
    fmt::print("\n{:<{}}", title, width);
    for (const auto& [column, _] : columns(sorted.front().second)) fmt::print("  {:>10}", column);
    fmt::print("\n");
    for (const auto& [name, verdicts] : std::span(sorted).first(std::min(sorted.size(), most_rows))) {
        fmt::print("{:<{}}", printable(name), width);
        for (const auto& [_, count] : columns(verdicts)) fmt::print("  {:>10}", count);
        fmt::print("\n");
    }
    if (sorted.size() > most_rows) fmt::print("({} more)\n", sorted.size() - most_rows);
}

void print_people(Stats& stats, const Missing& missing) {
    fmt::print("{} events", stats.events);
    if (stats.events > 0)
        fmt::print(", {} to {}", audit::format_time(stats.first_ns), audit::format_time(stats.last_ns));
    fmt::print("\n{} operations: {} allowed, {} refused\n", stats.verdicts.all(), stats.verdicts.allowed,
               stats.verdicts.refused);
    if (stats.told.all() > 0)
        fmt::print("policies: {} denied, {} would be denied, {} allowed and told\n", stats.told.denied,
                   stats.told.would_deny, stats.told.allowed);
    if (stats.latencies() > 0) {
        fmt::print("latency:");
        for (const auto percent : percents)
            fmt::print("{} p{} {}", percent == percents[0] ? "" : ",", percent,
                       in_microseconds(stats.latency_ns(percent).value_or(0)));
        fmt::print("\n");
    }
    if (missing.told > 0 || missing.events > 0 || missing.bad_lines > 0)
        fmt::print("lost: {} events told by gaps, {} missing without one, {} lines unreadable\n", missing.told,
                   missing.events, missing.bad_lines);
    print_table("grant", stats.grants);
    print_table("operation", stats.operations);
    print_table("key", stats.keys);
    print_table("domain", stats.domains);
    print_table("rule", stats.rules);
    print_table("operation of a domain", stats.policy_operations);
    if (stats.kinds.empty()) return;
    fmt::print("\nevent\n");
    for (const auto& [kind, count] : stats.kinds) fmt::print("{:<20}  {:>10}\n", printable(kind), count);
}

ordered_json table(std::string_view of, const Stats::Counts& counts) {
    auto list = ordered_json::array();
    for (const auto& [name, verdicts] : audit::by_frequency(counts))
        list.push_back({{of, name}, {"allowed", verdicts.allowed}, {"refused", verdicts.refused}});
    return list;
}

ordered_json told_table(std::string_view of, const Stats::ToldCounts& counts) {
    auto list = ordered_json::array();
    for (const auto& [name, told] : audit::by_frequency(counts))
        list.push_back(
            {{of, name}, {"denied", told.denied}, {"would_deny", told.would_deny}, {"allowed", told.allowed}});
    return list;
}

void print_json(Stats& stats, const Missing& missing, const std::vector<std::string>& files) {
    const auto time = [&](std::uint64_t ns) {
        return stats.events == 0 ? ordered_json() : ordered_json(audit::format_time(ns));
    };
    auto kinds = ordered_json::array();
    for (const auto& [kind, count] : stats.kinds) kinds.push_back({{"event", kind}, {"count", count}});
    ordered_json latency{{"count", stats.latencies()}};
    for (const auto percent : percents) {
        const auto ns = stats.latency_ns(percent);
        latency[fmt::format("p{}", percent)] = ns ? ordered_json(*ns) : ordered_json();
    }
    const ordered_json document{
        {"schema", "bpfwarden.audit.stats/1"},
        {"file", join(files, ", ")},
        {"events", stats.events},
        {"from", time(stats.first_ns)},
        {"to", time(stats.last_ns)},
        {"verdicts", {{"allowed", stats.verdicts.allowed}, {"refused", stats.verdicts.refused}}},
        {"latency_ns", std::move(latency)},
        {"lost", {{"told", missing.told}, {"missing", missing.events}, {"unreadable_lines", missing.bad_lines}}},
        {"grants", table("grant", stats.grants)},
        {"operations", table("operation", stats.operations)},
        {"keys", table("key", stats.keys)},
        {"kinds", std::move(kinds)},
        {"policies",
         {{"denied", stats.told.denied},
          {"would_deny", stats.told.would_deny},
          {"allowed", stats.told.allowed},
          {"entered", stats.entered},
          {"domains", told_table("domain", stats.domains)},
          {"rules", told_table("rule", stats.rules)},
          {"operations", told_table("operation", stats.policy_operations)}}}};
    std::puts(document.dump(2, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

Result<int> audit_stats(const Args& args) {
    const auto filter = BW_TRY(audit_filter(args));
    auto logs = BW_TRY(open_audit(args, filter));
    Stats stats;
    Missing missing;
    AuditProgress progress;
    while (const auto item = logs.next()) {
        progress.at(logs);
        const auto* event = std::get_if<audit::Event>(&*item);
        if (event != nullptr && filter.matches(*event)) stats.add(*event);
        if (!audit_warning(*item, filter)) continue;
        if (const auto* hole = std::get_if<audit::Hole>(&*item)) missing.events += hole->last - hole->first + 1;
        if (std::holds_alternative<audit::BadLine>(*item)) ++missing.bad_lines;
        if (event != nullptr) missing.told += event->number("lost").value_or(0);
    }
    args.json ? print_json(stats, missing, audit_files(args)) : print_people(stats, missing);
    return 0;
}

}  // namespace bpfwarden::cli
