// SPDX-License-Identifier: Apache-2.0
#include "audit/filter.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace bpfwarden::audit {

static bool has(const std::vector<std::string>& wanted, const std::string& text) {
    return std::ranges::find(wanted, text) != wanted.end();
}

// An operation is words, not a path: in "attach tracepoint sched/sched_switch" the slash is a letter like others.
static std::string across_slashes(std::string_view glob) {
    std::string made;
    for (std::size_t i = 0; i < glob.size(); ++i) {
        made += glob[i];
        if (glob[i] == '\\' && i + 1 < glob.size())
            made += glob[++i];
        else if (glob[i] == '*')
            made += '*';
    }
    return made;
}

bool Filter::overlaps(std::uint64_t from_ns, std::uint64_t to_ns) const {
    return to_ns >= since_ns.value_or(0) && from_ns <= until_ns.value_or(~std::uint64_t{0});
}

bool Filter::matches(const Event& event) const {
    if (!overlaps(event.time_ns, event.time_ns)) return false;
    if (!kinds.empty() && !has(kinds, event.kind)) return false;
    if (!sessions.empty() && !has(sessions, event.text("session"))) return false;
    if (!grants.empty() && !has(grants, event.text("grant"))) return false;
    if (!verdicts.empty() && !has(verdicts, event.text("verdict"))) return false;
    if (!domains.empty() && !has(domains, event.text("domain"))) return false;
    if (!uids.empty() && !has(uids, event.text("opener.uid")) && !has(uids, event.text("sender.uid")) &&
        !has(uids, event.text("actor.uid")))
        return false;
    if (!paths.empty() && !std::ranges::any_of(paths, [&](const auto& glob) {
            return glob_match(glob, event.text("target.path")) || glob_match(glob, event.text("target.second"));
        }))
        return false;
    if (operations.empty()) return true;
    const auto operation = event.text("operation");
    return std::ranges::any_of(operations,
                               [&](const auto& glob) { return glob_match(across_slashes(glob), operation); });
}

}  // namespace bpfwarden::audit
