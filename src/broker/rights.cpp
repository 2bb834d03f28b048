// SPDX-License-Identifier: Apache-2.0
#include "broker/rights.hpp"

#include <algorithm>

namespace bpfwarden::broker {

grant::Verdict Rights::check(const grant::Operation& operation) const {
    grant::Verdict verdict;
    for (const auto& grant : grants_) {
        verdict = grant::check(grant, operation);
        if (!verdict.allowed) break;
    }
    return verdict;
}

kernel::CapabilityMask Rights::capabilities() const {
    kernel::CapabilityMask all = ~kernel::CapabilityMask{0};
    for (const auto& grant : grants_) {
        kernel::CapabilityMask one = 0;
        for (const auto& [name, origin] : grant.of(grant::Dimension::capabilities).values)
            if (const auto number = kernel::capability_number(name)) one |= kernel::CapabilityMask{1} << *number;
        all &= one;
    }
    return all;
}

bool Rights::gives_programs() const {
    return std::ranges::all_of(
        grants_, [](const auto& grant) { return grant.hand_out && grant.hand_out->value == grant::HandOut::program; });
}

const grant::Resolved* Rights::forbids_not_revocable() const {
    const auto at = std::ranges::find_if(
        grants_, [](const auto& grant) { return !grant.not_revocable || !grant.not_revocable->value; });
    return at == grants_.end() ? nullptr : &*at;
}

bool Rights::keeps_links() const {
    return std::ranges::all_of(
        grants_, [](const auto& grant) { return grant.on_close && grant.on_close->value == grant::OnClose::keep; });
}

std::optional<std::uint64_t> Rights::lifetime_ms() const {
    std::optional<std::uint64_t> shortest;
    for (const auto& grant : grants_)
        if (grant.lifetime_ms)
            shortest = std::min(shortest.value_or(grant.lifetime_ms->value), grant.lifetime_ms->value);
    return shortest;
}

bool Rights::judges_digests() const {
    return std::ranges::any_of(grants_,
                               [](const auto& grant) { return !grant.digests.empty() || !grant.signers.empty(); });
}

const Position* Rights::asks_for_signers() const {
    const auto at = std::ranges::find_if(grants_, [](const auto& grant) { return !grant.signers.empty(); });
    return at == grants_.end() ? nullptr : &at->signers.front().at;
}

}  // namespace bpfwarden::broker
