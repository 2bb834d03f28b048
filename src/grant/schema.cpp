// SPDX-License-Identifier: Apache-2.0
#include "grant/schema.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/grant.hpp"

namespace bpfwarden::grant {

static constexpr Key keys[] = {
    {"", "format", "the number 1"},
    {"", "name", "name"},
    {"", "description", "text"},
    {"", "include", "list of grants"},
    {"", "subject", "list of tables"},
    {"", "dangerous", "list of dangers"},
    {"subject", "user", "user name"},
    {"subject", "group", "group name"},
    {"subject", "uid", "number"},
    {"subject", "gid", "number"},
    {"subject", "cgroup", "path glob"},
    {"subject", "exe", "path glob"},
    {"subject", "exe_sha256", "digest"},
    {"allow", "program_types", "list of names"},
    {"allow", "map_types", "list of names"},
    {"allow", "attach_types", "list of names"},
    {"allow", "commands", "list of names"},
    {"allow", "helpers", "list of names"},
    {"allow", "kfuncs", "list of names and globs"},
    {"allow", "capabilities", "list of names"},
    {"allow", "verifier", "list of features"},
    {"targets", "cgroups", "list of path globs"},
    {"targets", "interfaces", "list of globs"},
    {"targets", "tracepoints", "list of globs"},
    {"targets", "functions", "list of globs"},
    {"targets", "uprobes", "list of PATH:SYMBOL globs"},
    {"targets", "perf_events", "list of globs"},
    {"identity", "sha256", "list of digests"},
    {"identity", "programs", "list of tables"},
    {"identity", "signers", "list of names"},
    {"limits", "programs", "number"},
    {"limits", "maps", "number"},
    {"limits", "links", "number"},
    {"limits", "map_memory", "size"},
    {"limits", "instructions", "number"},
    {"limits", "loads_per_minute", "number"},
    {"session", "lifetime", "length of time"},
    {"session", "hand_out", "\"link\" or \"program\""},
    {"session", "on_close", "\"detach\" or \"keep\""},
    {"session", "not_revocable", "true or false"},
};
static constexpr std::string_view tables[] = {"groups", "allow", "targets", "identity", "limits", "session"};

std::span<const Key> all_keys() { return keys; }
std::span<const std::string_view> all_tables() { return tables; }

std::vector<std::string_view> keys_in(std::string_view table) {
    std::vector<std::string_view> names;
    for (const auto& key : keys)
        if (key.table == table) names.push_back(key.name);
    if (table.empty()) names.insert(names.end(), std::begin(tables), std::end(tables));
    return names;
}

std::string_view instead_of(std::string_view table, std::string_view key) {
    struct Advice {
        std::string_view table, key, text;
    };
    static constexpr Advice advices[] = {
        {"subject", "unit", "a unit is its control group: cgroup = \"/system.slice/NAME.service\""},
        {"subject", "pid", "process ids are reused, so nobody can be known by one: use cgroup, user or exe"},
        {"subject", "container", "a container is its control group: use cgroup with a glob"},
        {"", "deny", "a grant allows what it lists and nothing else, so there is nothing to deny"},
        {"allow", "deny", "a grant allows what it lists and nothing else, so there is nothing to deny"},
        {"", "version", "the version of the language is written format = 1"},
    };
    for (const auto& advice : advices)
        if (advice.table == table && advice.key == key) return advice.text;
    return {};
}

template <class E>
static std::string_view nth_key(std::string_view table, E value) {
    std::size_t n = index_of(value);
    for (const auto& key : keys)
        if (key.table == table && n-- == 0) return key.name;
    return {};
}

std::string_view key_of(Dimension dimension) { return nth_key("allow", dimension); }
std::string_view key_of(Target target) { return nth_key("targets", target); }
std::string_view key_of(Limit limit) { return nth_key("limits", limit); }
std::string_view key_of(SubjectKey key) { return nth_key("subject", key); }

std::string plural(std::string_view noun) {
    return noun.ends_with('y') ? fmt::format("{}ies", noun.substr(0, noun.size() - 1)) : fmt::format("{}s", noun);
}

std::string describe(const SubjectLine& line) {
    std::string out;
    for (const auto& condition : line.conditions)
        out += fmt::format("{}{} {}", out.empty() ? "" : " and ", key_of(condition.key), printable(condition.value));
    return out;
}

std::string_view noun_of(Dimension dimension) {
    static constexpr std::string_view nouns[] = {"program type", "map type", "attach type", "command",
                                                 "helper",       "kfunc",    "capability",  "verifier feature"};
    return nouns[index_of(dimension)];
}
std::string_view noun_of(Target target) {
    static constexpr std::string_view nouns[] = {"cgroup",   "interface", "tracepoint",
                                                 "function", "uprobe",    "perf event"};
    return nouns[index_of(target)];
}

}  // namespace bpfwarden::grant
