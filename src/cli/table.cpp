// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.hpp"

namespace bpfwarden::cli {

std::string full_name(const Command& command) {
    return command.object.empty() ? std::string(command.verb) : fmt::format("{} {}", command.object, command.verb);
}

const Option* find_option(const Command& command, std::string_view word) {
    const auto found = std::ranges::find_if(
        command.options, [&](const Option& one) { return one.name == word || (!word.empty() && one.letter == word); });
    return found == command.options.end() ? nullptr : &*found;
}

std::span<const Object> all_objects() {
    static constexpr Object objects[] = {
        {"audit", "what was decided, for whom and why"},
        {"filter", "seccomp filters: from C, eBPF or profiles to what any kernel takes"},
        {"grant", "what a user, a service or a container may do with BPF"},
        {"guard", "what root cannot take away: policies, and programs of others"},
        {"host", "what this machine offers"},
        {"internal", "for the build"},
        {"policy", "what processes may do: access control in BPF LSM"},
        {"session", "grants that are held open"},
    };
    return objects;
}

const std::vector<Command>& command_table() {
    static const std::vector<Command> table = [] {
        std::vector<Command> all;
        for (auto part : {run_commands(), grant_commands(), filter_commands(), policy_commands(), guard_commands(),
                          session_commands(), host_commands(), audit_commands(), internal_commands()})
            for (auto& command : part) all.push_back(std::move(command));
        return all;
    }();
    return table;
}

}  // namespace bpfwarden::cli
