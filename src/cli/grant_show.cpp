// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant show FILE`
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"
#include "grant/danger.hpp"
#include "grant/enforcement.hpp"
#include "grant/facts.hpp"
#include "grant/lookup.hpp"
#include "grant/masks.hpp"

namespace bpfwarden::cli {

using namespace grant;

static constexpr std::size_t width = 110;

// "LABEL  item, item, …", going on under the first item.
static void print_wrapped(std::string_view label, std::size_t column, const std::vector<std::string>& items) {
    std::string line = fmt::format("{:<{}}", label, column);
    bool first = true;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto item = printable(items[i]) + (i + 1 < items.size() ? "," : "");
        if (!first && line.size() + 1 + item.size() > width) {
            fmt::print("{}\n", line);
            line = std::string(column, ' ');
            first = true;
        }
        if (!first) line += ' ';
        line += item;
        first = false;
    }
    fmt::print("{}\n", line);
}

// One value, or one group of values, on a line of its own with where it was written.
static void print_allowed(const Resolved& grant, Dimension dimension) {
    const auto& allowed = grant.of(dimension);
    if (allowed.values.empty() && !allowed.key_at) return;
    fmt::print("  {}{}\n", key_of(dimension), allowed.key_at ? "" : "  (not written)");
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> groups;  // (via, place)
    std::map<std::string, std::vector<std::string>> implied;                         // by reason
    for (const auto& [value, origin] : allowed.values) {
        if (!origin.written)
            implied[origin.implied].push_back(value);
        else if (origin.via.empty())
            fmt::print("    {:<34}{}\n", printable(value), origin.at.text());
        else
            groups[{origin.via, origin.at.text()}].push_back(value);
    }
    for (const auto& [from, values] : groups) {
        const auto& [via, place] = from;
        fmt::print("    {:<34}{}\n",
                   via != "any"                     ? printable(via)
                   : dimension == Dimension::kfuncs ? "any"
                                                    : fmt::format("any ({} known today)", values.size()),
                   place);
        if (via != "any") print_wrapped("", 6, values);
    }
    for (const auto& [reason, values] : implied) {
        fmt::print("    implied: {}\n", reason);
        print_wrapped("", 6, values);
    }
    if (allowed.values.empty()) fmt::print("    none\n");
}

static void print_head(const Resolved& grant) {
    fmt::print("grant {} ({})\n", printable(grant.name), Position{grant.file, 0, 0}.text());
    if (!grant.description.empty()) fmt::print("  {}\n", printable(grant.description));
    for (const auto& file : grant.files)
        if (file != grant.file) fmt::print("  includes {}\n", printable(file));
    fmt::print("\nwho may open it\n  root\n");
    if (grant.subject)
        for (const auto& line : grant.subject->lines) fmt::print("  {:<35} {}\n", describe(line), line.at.text());
    const auto needs = dangers_of(grant);
    if (!grant.dangerous.empty()) fmt::print("\ndangerous\n");
    for (const auto& entry : grant.dangerous) {
        const auto* found = danger(entry.text);
        if (found) fmt::print("  {}: this grant {}\n", found->name, found->hands_over);
        for (const auto& need : needs)
            if (need.danger == found) fmt::print("    because of {}, {}\n", need.what, need.at.text());
    }
}

static void print_narrowing(const Resolved& grant) {
    bool any = false;
    const auto line = [&](std::string_view key, const std::string& text, const Position& at) {
        if (!std::exchange(any, true)) fmt::print("\nnarrowed by\n");
        fmt::print("  {:<26}{:<30} {}\n", key, printable(text), at.text());
    };
    for (const auto target : all_targets)
        for (const auto& list : grant.of(target)) {
            for (const auto& one : list.patterns) line(fmt::format("targets.{}", key_of(target)), one.glob, one.at);
            if (list.patterns.empty()) line(fmt::format("targets.{}", key_of(target)), "nothing at all", list.at);
        }
    for (const auto& list : grant.digests)
        for (const auto& one : list.entries) line("identity.sha256", one.text.substr(0, 16) + "…", one.at);
    for (const auto& list : grant.signers)
        for (const auto& one : list.entries) line("identity.signers", one.text, one.at);
    for (const auto limit : all_limits)
        if (const auto& value = grant.of(limit))
            line(fmt::format("limits.{}", key_of(limit)),
                 limit == Limit::map_memory ? format_size(value->value) : std::to_string(value->value), value->at);
    if (grant.lifetime_ms)
        line("session.lifetime", format_duration_ms(grant.lifetime_ms->value), grant.lifetime_ms->at);
    if (grant.hand_out)
        line("session.hand_out", grant.hand_out->value == HandOut::link ? "link" : "program", grant.hand_out->at);
    if (grant.on_close)
        line("session.on_close", grant.on_close->value == OnClose::keep ? "keep" : "detach", grant.on_close->at);
    if (grant.not_revocable)
        line("session.not_revocable", grant.not_revocable->value ? "true" : "false", grant.not_revocable->at);
}

static void print_reach(const Resolved& grant) {
    std::map<Reach, std::vector<std::string>> reaches;
    for (const auto& [type, origin] : grant.of(Dimension::program_types).values)
        if (const auto* facts = program_facts(type)) reaches[facts->reach].push_back(type);
    if (reaches.empty()) return;
    fmt::print("\nreach\n");
    for (const auto& [reach, types] : reaches) {
        print_wrapped(fmt::format("  {}:", describe(reach)), describe(reach).size() + 4, types);
        fmt::print("    contained by {}\n", contained_by(reach));
    }
}

static void print_masks(const Resolved& grant) {
    const auto masks = token_masks(grant);
    fmt::print("\nkernel token\n");
    const auto line = [](std::string_view name, std::uint64_t mask, Dimension dimension) {
        std::vector<std::string> names;
        for (const auto value : all_values(dimension)) {
            const auto bit = kernel::Names::known().value(*name_kind(dimension), value);
            if (bit && *bit < 64 && (mask >> *bit & 1) != 0) names.emplace_back(value);
        }
        print_wrapped(fmt::format("  {:<10}{:#018x}  ", name, mask), 32, names);
    };
    line("commands", masks.commands, Dimension::commands);
    line("maps", masks.maps, Dimension::map_types);
    line("programs", masks.programs, Dimension::program_types);
    line("attachs", masks.attachs, Dimension::attach_types);
}

// Whether the grant has something to say under this key.
static bool is_used(const Resolved& grant, std::string_view key) {
    if (key.starts_with("allow.")) return true;
    if (key.starts_with("subject."))
        return grant.subject && std::ranges::any_of(grant.subject->lines, [&](const SubjectLine& line) {
                   return std::ranges::any_of(line.conditions,
                                              [&](const auto& one) { return key.substr(8) == key_of(one.key); });
               });
    for (const auto target : all_targets)
        if (key == fmt::format("targets.{}", key_of(target))) return !grant.of(target).empty();
    for (const auto limit : all_limits)
        if (key == fmt::format("limits.{}", key_of(limit))) return grant.of(limit).has_value();
    if (key == "identity.sha256") return !grant.digests.empty();
    if (key == "identity.signers") return !grant.signers.empty();
    if (key == "session.lifetime") return grant.lifetime_ms.has_value();
    if (key == "session.hand_out") return grant.hand_out.has_value();
    if (key == "session.on_close") return grant.on_close.has_value();
    if (key == "session.not_revocable") return grant.not_revocable.has_value();
    return false;
}

static void print_enforcement(const Resolved& grant) {
    fmt::print("\nheld by                   token                session              notifier\n");
    std::vector<std::string> notes;
    const auto cell = [&](std::string_view key, Way way) {
        const auto by = enforced_by(key, way);
        if (by.note.empty()) return std::string(name_of(by.by));
        const auto known = std::ranges::find(notes, by.note);
        const auto number = known - notes.begin() + 1;
        if (known == notes.end()) notes.emplace_back(by.note);
        return fmt::format("{} [{}]", name_of(by.by), number);
    };
    for (const auto& key : enforced_keys()) {
        if (!is_used(grant, key)) continue;
        std::string line = fmt::format("  {:<24}", key);
        for (const auto way : all_ways) line += fmt::format("{:<21}", cell(key, way));
        line.erase(line.find_last_not_of(' ') + 1);
        fmt::print("{}\n", line);
    }
    for (std::size_t i = 0; i < notes.size(); ++i) fmt::print("  [{}] {}\n", i + 1, notes[i]);
    for (const auto way : all_ways) {
        const auto lost = unenforced(grant, way);
        if (lost.empty()) continue;
        fmt::print("\nnot held by {}\n", way == Way::token ? "a token (run --via token refuses, or --unenforced=KEY)"
                                                           : fmt::format("a {}", name_of(way)));
        for (const auto& one : lost) fmt::print("  {:<24}{}\n", one.key, one.why);
    }
}

Result<int> grant_show(const Args& args) {
    const auto checked = BW_TRY(read_valid(args.only("FILE"), args));
    const auto& grant = *checked.grant;
    if (args.json) {
        print_show_json(grant);
        return 0;
    }
    print_head(grant);
    fmt::print("\nallow\n");
    for (const auto dimension : all_dimensions) print_allowed(grant, dimension);
    print_narrowing(grant);
    print_reach(grant);
    print_masks(grant);
    print_enforcement(grant);
    return 0;
}

}  // namespace bpfwarden::cli
