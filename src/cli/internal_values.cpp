// SPDX-License-Identifier: Apache-2.0
// From a placeholder of the table ("FILE", "USER", "private|inherit") to what a shell can offer for it.
#include <algorithm>

#include "base/text.hpp"
#include "cli/internal.hpp"
#include "grant/enforcement.hpp"
#include "kernel/host.hpp"
#include "policy/operations.hpp"

namespace bpfwarden::cli {

using enum Values::Kind;

Values values_of(const Option& option) {
    const auto value = option.value;
    // Words in small letters are meant as they are.
    if (!value.empty() &&
        std::ranges::all_of(value, [](char c) { return (c >= 'a' && c <= 'z') || c == '|' || c == '_'; })) {
        Values words{word, {}};
        for (const auto one : split(value, '|')) words.words.emplace_back(one);
        return words;
    }
    if (value == "FILE") return {option.name == "--output" || option.name == "--file" ? file : grant, {}};
    if (value == "SOCKET") return {file, {}};
    if (value == "ARCH") return {word, {"x86_64", "x32", "i386", "aarch64"}};
    if (value == "PATH") return {file, {}};
    if (value == "OP") {
        Values words{word, {}};
        for (const auto& one : policy::all_operations()) words.words.emplace_back(one.name);
        return words;
    }
    if (option.name == "--capability") return {word, policy::capability_names()};
    if (value == "DIR") return {directory, {}};
    if (value.starts_with("USER")) return {user, {}};
    if (value == "PID") return {process, {}};
    if (value.starts_with("KEY")) return {list, grant::enforced_keys()};
    if (value.starts_with("ID")) {
        const auto ids = kernel::host_fact_ids();
        return {list, {ids.begin(), ids.end()}};
    }
    return {};
}

Values values_of(const Command& command, const Positional& positional) {
    if (command.passes_rest && &positional == &command.positionals.back()) return {Values::Kind::command, {}};
    if (positional.name == "SOURCE" || positional.name == "TABLE") return {file, {}};
    if (command.object == "policy") return {file, {}};
    if (positional.name == "FILE" || positional.name == "OLD" || positional.name == "NEW") return {grant, {}};
    if (positional.name == "OBJECT") return {file, {}};
    if (positional.name == "OPERATION")
        return {
            .kind = word,
            .words = {"map_create", "prog_load", "btf_load", "attach", "perf_event_open", "command", "helper", "kfunc"},
            .once = true};
    if (positional.name == "ID") {
        const auto ids = kernel::host_fact_ids();
        return {word, {ids.begin(), ids.end()}};
    }
    return {};
}

}  // namespace bpfwarden::cli
