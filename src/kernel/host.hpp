// SPDX-License-Identifier: Apache-2.0
// What this machine offers to each part of the product: one table, one entry a fact (host_table.cpp).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/probe.hpp"

namespace bpfwarden::kernel {

// The part of the product that a fact is about, in the order of the report.
enum class HostGroup { token, session, notifier, filter, policy, guard, general };
inline constexpr HostGroup all_host_groups[] = {HostGroup::token,  HostGroup::session, HostGroup::notifier,
                                                HostGroup::filter, HostGroup::policy,  HostGroup::guard,
                                                HostGroup::general};
std::string_view describe(HostGroup group);  // "grant by token", …
std::string_view word(HostGroup group);      // "token", …: for JSON
std::string_view word(Presence state);       // "present", "absent", "unknown"

struct HostFact {
    std::string id;
    HostGroup group = HostGroup::general;
    std::string title;
    Presence state = Presence::unknown;
    std::string how;        // how it was found out
    std::string detail;     // what was seen
    std::string needed_by;  // which part of the product needs it, and for what
    std::string remedy;     // how to get it (or get rid of it)
    bool concern = false;   // it is not as the product would have it
};

// The ids of all facts, in the order of the report.
std::vector<std::string_view> host_fact_ids();
// Finds out the facts named, or all when `ids` is empty, in the order of the report; ids that do not exist are left
// out. `before_each` is told what comes next (for a progress line).
std::vector<HostFact> check_host(std::span<const std::string> ids = {},
                                 const std::function<void(std::string_view id)>& before_each = {});

}  // namespace bpfwarden::kernel
