// SPDX-License-Identifier: Apache-2.0
#include "kernel/host.hpp"

#include <algorithm>

#include "kernel/host_table.hpp"

namespace bpfwarden::kernel {

std::string_view describe(HostGroup group) {
    static constexpr std::string_view texts[] = {"grant by token", "session", "notifier", "filter",
                                                 "policy",         "guard",   "facts"};
    return texts[static_cast<std::size_t>(group)];
}

std::string_view word(HostGroup group) { return group == HostGroup::token ? "token" : describe(group); }

std::string_view word(Presence state) {
    static constexpr std::string_view words[] = {"present", "absent", "unknown"};
    return words[static_cast<std::size_t>(state)];
}

std::vector<std::string_view> host_fact_ids() {
    std::vector<std::string_view> ids;
    for (const auto& entry : host_table()) ids.push_back(entry.id);
    return ids;
}

static bool is_concern(Wanted wanted, Presence state) {
    return (wanted == Wanted::yes && state == Presence::absent) || (wanted == Wanted::no && state == Presence::present);
}

std::vector<HostFact> check_host(std::span<const std::string> ids,
                                 const std::function<void(std::string_view id)>& before_each) {
    HostView view;
    std::vector<HostFact> facts;
    for (const auto& entry : host_table()) {
        if (!ids.empty() && std::ranges::find(ids, entry.id) == ids.end()) continue;
        if (before_each) before_each(entry.id);
        Finding found = entry.find(view);
        facts.push_back({.id = std::string(entry.id),
                         .group = entry.group,
                         .title = std::string(entry.title),
                         .state = found.state,
                         .how = std::move(found.how),
                         .detail = std::move(found.detail),
                         .needed_by = std::string(entry.needed_by),
                         .remedy = std::string(entry.remedy),
                         .concern = is_concern(entry.wanted, found.state)});
    }
    return facts;
}

}  // namespace bpfwarden::kernel
