// SPDX-License-Identifier: Apache-2.0
#include "broker/derived.hpp"

#include <fmt/format.h>

#include "grant/diff.hpp"

namespace bpfwarden::broker {

Result<> must_be_within(const grant::Resolved& smaller, const grant::Resolved& whole) {
    grant::Resolved taken = smaller;
    for (const auto target : grant::all_targets)
        if (auto& lists = taken.targets[grant::index_of(target)]; lists.empty()) lists = whole.of(target);
    for (const auto limit : grant::all_limits)
        if (auto& value = taken.limits[grant::index_of(limit)]; !value) value = whole.of(limit);
    if (taken.digests.empty()) taken.digests = whole.digests;
    if (taken.signers.empty()) taken.signers = whole.signers;
    if (!taken.lifetime_ms) taken.lifetime_ms = whole.lifetime_ms;
    if (!taken.hand_out) taken.hand_out = whole.hand_out;
    if (!taken.on_close) taken.on_close = whole.on_close;
    if (!taken.not_revocable) taken.not_revocable = whole.not_revocable;
    // Who may open it is not asked again: whoever holds it has it.
    taken.subject = whole.subject;
    std::string wider;
    for (const auto& change : grant::diff(whole, taken).changes)
        if (change.direction == grant::Direction::widens && !change.implied)
            wider += fmt::format("{}{} {}", wider.empty() ? "" : "\n  ", change.key, change.what);
    if (wider.empty()) return {};
    return fail(Error(Code::denied, "the derived grant asks for more than the session has")
                    .because(wider)
                    .advise("leave that out; what is not mentioned of targets and limits is taken over"));
}

}  // namespace bpfwarden::broker
