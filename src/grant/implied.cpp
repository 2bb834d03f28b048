// SPDX-License-Identifier: Apache-2.0
#include "grant/implied.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/facts.hpp"

namespace bpfwarden::grant {

// The attach type that is number 0. A program without one is loaded with this value, and a kernel token must have its
// bit (bpf_token_allow_prog_type looks at expected_attach_type whatever the program type).
static constexpr std::string_view attach_zero = "cgroup_inet_ingress";

static Origin& imply(Allowed& allowed, std::string_view value, const Position& because_of, std::string_view why) {
    auto [place, fresh] = allowed.values.try_emplace(std::string(value));
    auto& origin = place->second;
    if (fresh) origin.at = because_of;
    if (origin.implied.empty()) origin.implied = why;
    return origin;
}

static void add_once(std::vector<std::string>& list, std::string_view value) {
    if (std::ranges::find(list, value) == list.end()) list.emplace_back(value);
}

static void imply_from_programs(Resolved& grant) {
    auto& programs = grant.of(Dimension::program_types);
    if (programs.values.empty()) return;
    const Position first = std::ranges::min_element(programs.values, {}, [](const auto& one) {
                               return std::tuple(one.second.at.file, one.second.at.line, one.second.at.column);
                           })->second.at;
    imply(programs, "socket_filter", first,
          "libbpf up to 1.7 first loads a trivial socket_filter (then a tracepoint) and gives up if both are refused");
    imply(grant.of(Dimension::map_types), "array", first, "libbpf keeps .rodata, .data and .bss in array maps");

    auto& attach = grant.of(Dimension::attach_types);
    for (const auto& [type, origin] : programs.values) {
        const auto* facts = program_facts(type);
        if (!facts) continue;
        if (facts->zero_load) {
            auto& zero = imply(
                attach, attach_zero, origin.at,
                "value 0: programs without an attach type, or whose libbpf cannot tell it (its probe is refused)");
            add_once(zero.load_for, type);
        }
        if (!facts->natural.empty() && origin.written) {
            auto& natural =
                imply(attach, facts->natural, origin.at, fmt::format("it is what {} programs are for", type));
            add_once(natural.attach_for, type);
            // These say how a link is made, not what is loaded.
            if (facts->natural != "perf_event" && facts->natural != "trace_raw_tp" && facts->natural != "struct_ops")
                add_once(natural.load_for, type);
        }
    }
}

static void imply_from_capabilities(Resolved& grant) {
    const auto& capabilities = grant.of(Dimension::capabilities);
    for (const std::string_view capability : {"perfmon", "sys_admin"}) {
        const auto held = capabilities.values.find(capability);
        if (held == capabilities.values.end()) continue;
        for (const auto& feature : all_verifier_features())
            if (feature.comes_with_capability)
                imply(grant.of(Dimension::verifier), feature.name, held->second.at,
                      fmt::format("the kernel gives it to whoever has {}, and nobody can hold it back", capability));
    }
}

static bool follows(const CommandFacts& facts, const Resolved& grant) {
    using enum CommandFacts::Follows;
    const bool has_maps = !grant.of(Dimension::map_types).values.empty();
    const bool has_programs = !grant.of(Dimension::program_types).values.empty();
    switch (facts.from) {
        case nothing:
            return false;
        case maps:
            return has_maps;
        case programs:
            return has_programs;
        case anything:
            return has_maps || has_programs;
        case iterators:
            return grant.of(Dimension::attach_types).contains("trace_iter");
        case ext:
            return grant.of(Dimension::program_types).contains("ext");
        case struct_ops:
            return grant.of(Dimension::map_types).contains("struct_ops");
    }
    return false;
}

static std::string_view follows_from(CommandFacts::Follows from) {
    using enum CommandFacts::Follows;
    switch (from) {
        case nothing:
            return "nothing";
        case maps:
            return "it follows from map_types";
        case programs:
            return "it follows from program_types";
        case anything:
            return "maps and programs carry type information (BTF)";
        case iterators:
            return "it follows from the attach type trace_iter";
        case ext:
            return "ext programs name their target by its type information";
        case struct_ops:
            return "it follows from the map type struct_ops";
    }
    return "";
}

// Commands are worked out, not taken as written: what follows from the types, less what a written list leaves out.
static void work_out_commands(Resolved& grant, const std::optional<Allowed>& narrowed, Diagnostics& diagnostics) {
    auto& commands = grant.of(Dimension::commands);
    if (narrowed) {
        commands.key_at = narrowed->key_at;
        commands.any = narrowed->any;
    }
    for (const auto& facts : all_command_facts()) {
        const Origin* written = nullptr;
        if (narrowed)
            if (const auto at = narrowed->values.find(facts.command); at != narrowed->values.end())
                written = &at->second;
        const bool named = written && written->via != "any";
        if (facts.kind == CommandClass::free) {
            imply(commands, facts.command, grant.allow_at,
                  "the kernel asks for no privilege, only for an fd or a file");
            continue;
        }
        if (facts.kind == CommandClass::refused) {
            if (named)
                diagnostics.error(written->at, fmt::format("{} is never given to a grantee", facts.command),
                                  std::string(facts.why));
            continue;
        }
        const bool derived = follows(facts, grant);
        if (named && !derived && written->via.empty())
            diagnostics.warning(written->at, fmt::format("{} does not follow from the types", facts.command),
                                "commands only narrow: a command that the types do not ask for is not allowed by this");
        if (!derived) continue;
        if (!narrowed)
            imply(commands, facts.command, grant.allow_at, follows_from(facts.from));
        else if (written)
            commands.values[std::string(facts.command)] = *written;
    }
    // Narrowing map_create and prog_load away takes these along; otherwise they are needed with them.
    if (commands.contains("map_create") || commands.contains("prog_load"))
        imply(commands, "btf_load", grant.allow_at, follows_from(CommandFacts::Follows::anything));
    if (commands.contains("prog_load") && grant.of(Dimension::program_types).contains("ext"))
        imply(commands, "btf_get_fd_by_id", grant.allow_at, follows_from(CommandFacts::Follows::ext));
}

void add_implied(Resolved& grant, const std::optional<Allowed>& narrowed, Diagnostics& diagnostics) {
    imply_from_programs(grant);
    imply_from_capabilities(grant);
    work_out_commands(grant, narrowed, diagnostics);
}

}  // namespace bpfwarden::grant
