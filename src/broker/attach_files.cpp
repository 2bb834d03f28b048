// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "broker/grant_sockets.hpp"
#include "grant/facts.hpp"

namespace bpfwarden::broker {

static bool has_magic(std::string_view pattern) { return pattern.find_first_of("*?[{\\") != std::string_view::npos; }

// "/a/b", and "/a/b/**", are about the subtree /a/b; a pattern with something else in it is about no one subtree.
static std::string subtree_of(std::string_view pattern) {
    if (pattern.ends_with("/**")) pattern.remove_suffix(3);
    // It becomes part of a path here and of a quoted string below.
    const bool plain = std::ranges::none_of(pattern, [](char c) { return c == '"' || (c >= 0 && c < ' '); });
    if (pattern.empty() || pattern.front() != '/' || has_magic(pattern) || pattern.contains("..") || !plain) return {};
    while (pattern.size() > 1 && pattern.ends_with('/')) pattern.remove_suffix(1);
    return std::string(pattern);
}

std::vector<AttachFile> attach_files(const grant::Resolved& grant) {
    std::vector<std::string> subtrees;
    for (const auto& list : grant.of(grant::Target::cgroups))
        for (const auto& pattern : list.patterns)
            if (auto path = subtree_of(pattern.glob);
                !path.empty() && path != "/" && std::ranges::find(subtrees, path) == subtrees.end())
                subtrees.push_back(std::move(path));
    std::vector<AttachFile> files;
    for (const auto& path : subtrees)
        for (const auto& [type, origin] : grant.of(grant::Dimension::attach_types).values)
            if (grant::attaches_to(type) == grant::AttachTo::cgroup && (origin.written || !origin.attach_for.empty()))
                files.push_back({path, type});
    return files;
}

static std::string list_of(const grant::Allowed& allowed) {
    std::string text;
    for (const auto& [value, origin] : allowed.values)
        if (origin.written) text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", value);
    return text;
}

std::string text_of(const AttachFile& file, const grant::Resolved& grant) {
    using enum grant::Dimension;
    std::string text = "format = 1\n";
    if (!grant.dangerous.empty()) {
        text += "dangerous = [";
        for (const auto& one : grant.dangerous) text += fmt::format("\"{}\", ", one.text);
        text += "]\n";
    }
    text += fmt::format("[allow]\nattach_types = [\"{}\"]\n", file.attach_type);
    std::string programs;
    for (const auto type : grant::program_types_of(file.attach_type))
        if (grant.of(program_types).contains(type)) programs += fmt::format("\"{}\", ", type);
    text += fmt::format("program_types = [{}]\n", programs);
    for (const auto dimension : {map_types, helpers, capabilities, verifier})
        text += fmt::format("{} = [{}]\n", grant::key_of(dimension), list_of(grant.of(dimension)));
    // Globs, not names: as they are.
    text += fmt::format("kfuncs = [{}]\n", list_of(grant.of(kfuncs)));
    return text + fmt::format("[targets]\ncgroups = [\"{0}\", \"{0}/**\"]\n", file.cgroup);
}

std::string access_list(const grant::Resolved& grant) {
    if (!grant.subject) return {};
    std::string users;
    for (const auto& line : grant.subject->lines) {
        const auto named = [](const grant::SubjectCondition& one) {
            using enum grant::SubjectKey;
            return one.key == user || one.key == uid || one.key == group || one.key == gid;
        };
        const auto who = std::ranges::find_if(line.conditions, named);
        // By control group or executable alone: anybody may knock, and is asked then.
        if (who == line.conditions.end()) return "u::rw,g::rw,o::rw";
        const bool is_group = who->key == grant::SubjectKey::group || who->key == grant::SubjectKey::gid;
        users += fmt::format(",{}:{}:rw", is_group ? 'g' : 'u', who->value);
    }
    return "u::rw,g::-,m::rw,o::-" + users;
}

}  // namespace bpfwarden::broker
