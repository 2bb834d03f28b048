// SPDX-License-Identifier: Apache-2.0
// A grant as it was written: every value with the place it was written at. Nothing is looked up or worked out here;
// that is resolve.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/toml_reader.hpp"

namespace bpfwarden::grant {

// The lists of [allow].
enum class Dimension { program_types, map_types, attach_types, commands, helpers, kfuncs, capabilities, verifier };
inline constexpr Dimension all_dimensions[] = {Dimension::program_types, Dimension::map_types, Dimension::attach_types,
                                               Dimension::commands,      Dimension::helpers,   Dimension::kfuncs,
                                               Dimension::capabilities,  Dimension::verifier};
// The lists of [targets].
enum class Target { cgroups, interfaces, tracepoints, functions, uprobes, perf_events };
inline constexpr Target all_targets[] = {Target::cgroups,   Target::interfaces, Target::tracepoints,
                                         Target::functions, Target::uprobes,    Target::perf_events};
// The numbers of [limits].
enum class Limit { programs, maps, links, map_memory, instructions, loads_per_minute };
inline constexpr Limit all_limits[] = {Limit::programs,   Limit::maps,         Limit::links,
                                       Limit::map_memory, Limit::instructions, Limit::loads_per_minute};

// The key's name in the file: "program_types", "cgroups", "map_memory".
std::string_view key_of(Dimension dimension);
std::string_view key_of(Target target);
std::string_view key_of(Limit limit);
// What one value of the list is called in a sentence: "program type", "cgroup".
std::string_view noun_of(Dimension dimension);
std::string_view noun_of(Target target);
// "capability" -> "capabilities"
std::string plural(std::string_view noun);

template <class E>
constexpr std::size_t index_of(E value) {
    return static_cast<std::size_t>(value);
}

// Without an entry in [targets] these are reachable for nobody: only the broker's opener can get at them, and it opens
// what is named. The others (cgroups, interfaces) are not restricted by an absent key.
constexpr bool absent_means_none(Target target) { return target >= Target::tracepoints; }

using bpfwarden::Entry;
using bpfwarden::List;

// One key of a subject line.
enum class SubjectKey { user, group, uid, gid, cgroup, exe, exe_sha256 };
std::string_view key_of(SubjectKey key);

struct SubjectCondition {
    SubjectKey key = SubjectKey::user;
    std::string value;  // numbers in decimal
    Position at;
};
// All conditions of a line must hold; any line of a subject is enough.
struct SubjectLine {
    Position at;
    std::vector<SubjectCondition> conditions;
};
// "user monitor and exe /usr/bin/agent"
std::string describe(const SubjectLine& line);
struct Subject {
    Position at;
    std::vector<SubjectLine> lines;
};

enum class HandOut { link, program };
enum class OnClose { detach, keep };

template <class T>
struct Written {
    T value{};
    Position at;
};

struct Grant {
    std::string file;  // as it is called in messages
    std::optional<Entry> name;
    std::optional<Entry> description;
    std::vector<Entry> includes;
    std::optional<Subject> subject;
    std::optional<List> dangerous;
    std::map<std::string, List, std::less<>> groups;

    Position allow_at;  // of the [allow] table; no place when there is none
    std::array<std::optional<List>, std::size(all_dimensions)> allow;
    Position targets_at;
    std::array<std::optional<List>, std::size(all_targets)> targets;
    std::optional<List> digests;  // identity.sha256 and identity.programs together, lower case
    std::optional<List> signers;
    std::array<std::optional<Written<std::uint64_t>>, std::size(all_limits)> limits;
    std::optional<Written<std::uint64_t>> lifetime_ms;
    std::optional<Written<HandOut>> hand_out;
    std::optional<Written<OnClose>> on_close;
    std::optional<Written<bool>> not_revocable;
};

}  // namespace bpfwarden::grant
