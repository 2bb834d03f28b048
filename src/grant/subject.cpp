// SPDX-License-Identifier: Apache-2.0
#include "grant/subject.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::grant {

static bool holds(const SubjectCondition& condition, const Opener& opener) {
    const auto is_number = [&](std::uint32_t id) { return condition.value == std::to_string(id); };
    switch (condition.key) {
        case SubjectKey::user:
            return !opener.user.empty() && condition.value == opener.user;
        case SubjectKey::uid:
            return is_number(opener.uid);
        case SubjectKey::group:
            return std::ranges::find(opener.groups, condition.value) != opener.groups.end();
        case SubjectKey::gid:
            return std::ranges::any_of(opener.gids, is_number);
        case SubjectKey::cgroup:
            return !opener.cgroup.empty() && glob_match(condition.value, opener.cgroup);
        case SubjectKey::exe:
            return !opener.exe.empty() && glob_match(condition.value, opener.exe);
        case SubjectKey::exe_sha256:
            return !opener.exe_sha256.empty() && condition.value == opener.exe_sha256;
    }
    return false;
}

std::optional<Error> refuses_opener(const Resolved& grant, const Opener& opener) {
    if (opener.uid == 0) return std::nullopt;
    const std::string who =
        opener.user.empty() ? fmt::format("uid {}", opener.uid) : fmt::format("user {}", opener.user);
    Error refused(Code::denied, fmt::format("{} may not use this grant", who));
    if (!grant.subject)
        return std::move(refused)
            .because(fmt::format("{} has no subject, so it is for root only", quoted(grant.file)))
            .advise(fmt::format("add subject = [ {{ user = {} }} ] to it",
                                quoted(opener.user.empty() ? "NAME" : opener.user)));
    for (const auto& line : grant.subject->lines)
        if (!line.conditions.empty() &&
            std::ranges::all_of(line.conditions, [&](const auto& condition) { return holds(condition, opener); }))
            return std::nullopt;
    // With one line the condition that failed is worth naming.
    std::string why = fmt::format("{}: no line of its subject matches", grant.subject->at.text());
    if (grant.subject->lines.size() == 1)
        for (const auto& condition : grant.subject->lines.front().conditions)
            if (!holds(condition, opener)) {
                why = fmt::format("{}: {} = {} does not hold", condition.at.text(), key_of(condition.key),
                                  quoted(condition.value));
                break;
            }
    return std::move(refused).because(std::move(why));
}

bool asks_for(const Resolved& grant, SubjectKey key) {
    return grant.subject && std::ranges::any_of(grant.subject->lines, [key](const auto& line) {
               return std::ranges::find(line.conditions, key, &SubjectCondition::key) != line.conditions.end();
           });
}

}  // namespace bpfwarden::grant
