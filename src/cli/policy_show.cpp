// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy show FILE…`
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/diagnostics.hpp"
#include "cli/policy.hpp"
#include "cli/policy_json.hpp"
#include "policy/describe.hpp"

namespace bpfwarden::cli {

static std::string mode_of(const policy::LinkedDomain& domain) {
    return domain.written->mode.value_or(domain.policy->mode) == policy::Mode::enforce ? "enforce" : "audit";
}

static void print_domain(const policy::Linked& linked, std::uint32_t number) {
    const auto& domain = linked.domains[number];
    const auto rules = static_cast<std::size_t>(
        std::ranges::count_if(linked.rules, [&](const auto& rule) { return rule.holds_for(number); }));
    fmt::print("domain {}: default {}, {}, {}{}{}\n", domain.name, domain.written->denies ? "deny" : "allow",
               mode_of(domain), count_of(rules, "rule"), domain.written->secure_exec ? "" : ", no secure exec",
               domain.written->own_root ? ", paths from the root of each file system" : "");
    for (const auto& way : linked.ways)
        if (way.to == number) fmt::print("  entered by {}\n", describe(linked, way));
}

Result<int> policy_show(const Args& args) {
    const auto policies = BW_TRY(read_policies(args.positional("FILE")));
    if (args.json) {
        print_policy_show_json(policies);
        return 0;
    }
    Diagnostics none;
    const auto linked = policy::link(policies.loaded.policies, none);
    for (const auto& one : policies.loaded.policies)
        fmt::print("policy {}: {}, {}, {}{}\n", one.name, count_of(one.domains.size(), "domain"),
                   count_of(one.rules.size(), "rule"), one.mode == policy::Mode::enforce ? "enforce" : "audit",
                   one.loss_denies ? ", what cannot be told is refused" : "");
    for (std::uint32_t i = 1; i < linked.domains.size(); ++i) print_domain(linked, i);
    const auto& image = policies.compiled;
    policy::Operations all = 0;
    for (const auto& one : policy::all_operations()) all |= one.bit;
    fmt::print("operations that are decided: {}\n", image.ops == all ? "all"
                                                    : image.ops      ? policy::names_of(image.ops)
                                                                     : "none");
    fmt::print("image: {}: {}, {}, {}, {}, {}\n", format_size(image.lines.size() * sizeof(policy::Line)),
               count_of(image.sizes.states, "state"), count_of(image.sizes.edges, "edge"),
               count_of(image.sizes.glob_rows, "glob row"), count_of(image.sizes.sets, "set"),
               count_of(image.sizes.net_rules, "address rule"));
    fmt::print("digest: {}\n", image.digest);
    return 0;
}

}  // namespace bpfwarden::cli
