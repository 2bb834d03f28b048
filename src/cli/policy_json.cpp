// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_json.hpp"

#include <algorithm>

#include "cli/json.hpp"
#include "policy/describe.hpp"

namespace bpfwarden::cli {

static Json names(policy::Operations ops) {
    Json list = Json::array();
    for (const auto& one : policy::all_operations())
        if (ops & one.bit) list.push_back(one.name);
    return list;
}

void print_policy_check_json(std::span<const std::string> files, const Diagnostics& diagnostics) {
    print_json({{"schema", "bpfwarden.policy.check/1"},
                {"files", files},
                {"ok", diagnostics.ok()},
                {"errors", diagnostics.errors()},
                {"warnings", diagnostics.warnings()},
                {"diagnostics", diagnostics_json(diagnostics)}});
}

void print_policy_show_json(const ReadPolicies& policies) {
    Diagnostics none;
    const auto linked = policy::link(policies.loaded.policies, none);
    Json list = Json::array();
    for (const auto& one : policies.loaded.policies)
        list.push_back({{"name", one.name},
                        {"file", one.file},
                        {"mode", one.mode == policy::Mode::enforce ? "enforce" : "audit"},
                        {"on_loss", one.loss_denies ? "deny" : "count"},
                        {"rules", one.rules.size()}});
    Json domains = Json::array();
    for (std::uint32_t i = 1; i < linked.domains.size(); ++i) {
        const auto& domain = linked.domains[i];
        Json ways = Json::array();
        for (const auto& way : linked.ways)
            if (way.to == i) ways.push_back({{"what", describe(linked, way)}, {"at", place_json(way.written->at)}});
        const auto rules = std::ranges::count_if(linked.rules, [&](const auto& rule) { return rule.holds_for(i); });
        const auto mode = domain.written->mode.value_or(domain.policy->mode);
        domains.push_back({{"name", domain.name},
                           {"policy", domain.policy->name},
                           {"at", place_json(domain.written->at)},
                           {"default", domain.written->denies ? "deny" : "allow"},
                           {"mode", mode == policy::Mode::enforce ? "enforce" : "audit"},
                           {"secure_exec", domain.written->secure_exec},
                           {"root", domain.written->own_root ? "own" : "mounts"},
                           {"rules", rules},
                           {"enter", std::move(ways)}});
    }
    const auto& image = policies.compiled;
    print_json({{"schema", "bpfwarden.policy.show/1"},
                {"policies", std::move(list)},
                {"domains", std::move(domains)},
                {"operations", names(image.ops)},
                {"enforces", image.enforces},
                {"cgroups", image.cgroups},
                {"types", image.types},
                {"identities", image.identities},
                {"image",
                 {{"bytes", image.lines.size() * sizeof(policy::Line)},
                  {"states", image.sizes.states},
                  {"edges", image.sizes.edges},
                  {"glob_rows", image.sizes.glob_rows},
                  {"sets", image.sizes.sets},
                  {"cells", image.sizes.cells},
                  {"address_rules", image.sizes.net_rules}}},
                {"digest", image.digest}});
}

static Json rule_json(const ReadPolicies& policies, std::uint32_t number) {
    const auto& rule = policies.compiled.rules[number - 1];
    return {
        {"name", rule.name}, {"policy", rule.policy}, {"effect", name_of(rule.effect)}, {"at", place_json(rule.at)}};
}

void print_policy_explain_json(const ReadPolicies& policies, const Explanation& explanation) {
    Json operations = Json::array();
    for (const auto& one : explanation.operations) {
        const auto& decision = one.decision;
        Json matched = Json::array();
        for (const auto& mention : decision.matched) matched.push_back(rule_json(policies, mention.rule));
        Json entry{{"operation", one.operation},
                   {"object", one.object},
                   {"permitted", decision.verdict != policy::Verdict::denied},
                   {"verdict", name_of(decision.verdict)},
                   {"rule", decision.rule ? rule_json(policies, decision.rule) : Json(nullptr)},
                   {"name_cannot_be_told", decision.blind},
                   {"matched", std::move(matched)}};
        operations.push_back(std::move(entry));
    }
    Json document{{"schema", "bpfwarden.policy.explain/1"},
                  {"domain", explanation.domain},
                  {"operations", std::move(operations)}};
    if (explanation.enters) {
        document["domain_after"] = *explanation.enters;
        document["enter"] = explanation.way ? place_json(explanation.way->at) : Json(nullptr);
    }
    print_json(document);
}

void print_policy_identity_json(std::span<const std::pair<std::string, enforce::FileIdentity>> files) {
    Json list = Json::array();
    for (const auto& [path, file] : files) {
        Json entry{{"path", path}};
        entry["identity"] = nullptr;
        if (const auto& id = file.identity)
            entry["identity"] = {
                {"device", std::to_string(id->device >> 20) + ":" + std::to_string(id->device & 0xfffff)},
                {"inode", id->inode},
                {"generation", id->generation}};
        for (const auto& kind : policy::all_pin_kinds()) {
            const auto at = std::ranges::find(file.pins, kind.kind, &policy::Pin::kind);
            entry[std::string(kind.key)] = at != file.pins.end() ? Json(policy::text_of(*at)) : Json(nullptr);
        }
        list.push_back(std::move(entry));
    }
    print_json({{"schema", "bpfwarden.policy.identity/1"}, {"files", std::move(list)}});
}

void print_policy_diff_json(const policy::Diff& diff) {
    Json list = Json::array();
    for (const auto& one : diff.differences) {
        Json entry{{"direction", name_of(one.direction)},
                   {"domain", one.domain},
                   {"what", one.what},
                   {"example", one.example}};
        if (!one.was.empty()) {
            entry["was"] = one.was;
            entry["is"] = one.is;
            entry["more"] = one.more;
        }
        list.push_back(std::move(entry));
    }
    print_json({{"schema", "bpfwarden.policy.diff/1"},
                {"widens", diff.widens()},
                {"narrows", diff.narrows()},
                {"differences", std::move(list)}});
}

}  // namespace bpfwarden::cli
