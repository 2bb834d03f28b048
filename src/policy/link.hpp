// SPDX-License-Identifier: Apache-2.0
// Policies that are in force together: one list of domains, rules and ways in, each name looked up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.hpp"
#include "shared/policy_image.h"

namespace bpfwarden::policy {

// Domains by number; the unconfined one is 0.
class DomainSet {
  public:
    void add(std::uint32_t domain) { words[domain / 64] |= 1ULL << domain % 64; }
    bool has(std::uint32_t domain) const { return words[domain / 64] >> domain % 64 & 1; }
    bool empty() const { return !(words[0] | words[1] | words[2] | words[3]); }
    friend auto operator<=>(const DomainSet&, const DomainSet&) = default;

    std::array<std::uint64_t, BW_MAX_DOMAINS / 64> words{};
};

struct LinkedDomain {
    std::string name;
    const Domain* written = nullptr;  // null for the unconfined one, and for one that is gone
    const Policy* policy = nullptr;
    // What no rule allows: refused, or told of.
    Operations default_deny = 0, default_warn = 0;
};

// By BW_EFFECT_*: "deny" in audit mode is an effect of its own, and a rule can have either in different domains.
inline constexpr std::size_t effect_count = 4;

struct LinkedRule {
    const Rule* written = nullptr;
    const Policy* policy = nullptr;
    std::array<DomainSet, effect_count> domains;  // by effect
    DomainSet peers;

    bool holds_for(std::uint32_t domain) const;
    // In a domain that the rule holds for.
    std::uint32_t effect_in(std::uint32_t domain) const;
};

struct LinkedWay {
    const WayIn* written = nullptr;
    std::uint32_t to = 0;
    DomainSet from;
};

// Refers to the policies that it was made of.
struct Linked {
    std::vector<LinkedDomain> domains;
    std::vector<LinkedRule> rules;
    std::vector<LinkedWay> ways;

    std::optional<std::uint32_t> domain(std::string_view name) const;
};

// Reports names of domains that are unknown or defined twice, and too many domains. Use it only without errors.
//
// `numbered`: the domains that processes may be in already, by their numbers (the first is the unconfined one). They
// keep them, so that nobody is in another domain after a change of policy; those that are not defined any more refuse
// nothing.
Linked link(std::span<const Policy> policies, Diagnostics& diagnostics, std::span<const std::string> numbered = {});

}  // namespace bpfwarden::policy
