// SPDX-License-Identifier: Apache-2.0
#include "policy/link.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::policy {

bool LinkedRule::holds_for(std::uint32_t domain) const {
    return std::ranges::any_of(domains, [&](const DomainSet& set) { return set.has(domain); });
}

std::uint32_t LinkedRule::effect_in(std::uint32_t domain) const {
    return static_cast<std::uint32_t>(
        std::ranges::find_if(domains, [&](const DomainSet& set) { return set.has(domain); }) - domains.begin());
}

std::optional<std::uint32_t> Linked::domain(std::string_view name) const {
    const auto at = std::ranges::find(domains, name, &LinkedDomain::name);
    if (at == domains.end()) return std::nullopt;
    return static_cast<std::uint32_t>(at - domains.begin());
}

namespace {

class Linker {
  public:
    Linker(std::span<const Policy> policies, Diagnostics& diagnostics)
        : policies_(policies), diagnostics_(diagnostics) {}

    Linked run(std::span<const std::string> numbered) {
        out_.domains.push_back({std::string(unconfined), nullptr, nullptr, 0, 0});
        for (const auto& name : numbered.subspan(numbered.empty() ? 0 : 1))
            out_.domains.push_back({name, nullptr, nullptr, 0, 0});
        for (const auto& policy : policies_)
            for (const auto& domain : policy.domains) add(policy, domain);
        for (const auto& policy : policies_) {
            for (const auto& domain : policy.domains) ways(domain);
            for (const auto& rule : policy.rules) add(policy, rule);
        }
        return std::move(out_);
    }

  private:
    void add(const Policy& policy, const Domain& domain) {
        const auto known = out_.domain(domain.name.text);
        const bool gone = known && *known && !out_.domains[*known].written;
        if (known && !gone) {
            const auto* first = out_.domains[*known].written;
            diagnostics_.error(domain.name.at, fmt::format("the domain {} is defined twice", quoted(domain.name.text)),
                               first ? fmt::format("it is defined in {}", first->at.text())
                                     : "that name stands for every process that no policy is about",
                               "give it another name; rules can be about domains of other files");
            return;
        }
        if (!gone && out_.domains.size() == BW_MAX_DOMAINS) {
            diagnostics_.error(domain.at, fmt::format("more than {} domains", BW_MAX_DOMAINS - 1),
                               "domains that are gone count, as long as there can be processes in them",
                               "bpfwarden policy remove ends them");
            return;
        }
        const bool enforced = domain.mode.value_or(policy.mode) == Mode::enforce;
        Operations all = 0;
        for (const auto& one : all_operations()) all |= one.bit;
        if (!gone) out_.domains.emplace_back();
        out_.domains[gone ? *known : out_.domains.size() - 1] = {domain.name.text, &domain, &policy,
                                                                 domain.denies && enforced ? all : 0,
                                                                 domain.denies && !enforced ? all : 0};
    }

    std::optional<std::uint32_t> look_up(const Entry& name, bool or_unconfined) {
        const auto found = out_.domain(name.text);
        if (found && (*found ? out_.domains[*found].written != nullptr : or_unconfined)) return found;
        std::vector<std::string_view> known;
        if (or_unconfined) known.push_back(unconfined);
        for (const auto& domain : out_.domains)
            if (domain.written) known.push_back(domain.name);
        const auto near = nearest(name.text, known);
        if (found && !*found)
            diagnostics_.error(name.at, "no rule is about the unconfined domain",
                               "its processes are those that no policy is about");
        else
            diagnostics_.error(
                name.at, fmt::format("there is no domain {}", quoted(name.text)),
                known.empty() ? "no [[domain]] is defined" : fmt::format("known here: {}", fmt::join(known, ", ")),
                near ? fmt::format("did you mean {}?", quoted(*near))
                     : "a domain of another file is known when both are given together");
        return std::nullopt;
    }

    void ways(const Domain& domain) {
        const auto to = out_.domain(domain.name.text);
        if (!to || out_.domains[*to].written != &domain) return;  // defined twice
        for (const auto& way : domain.enter) {
            LinkedWay linked{&way, *to, {}};
            if (way.from.empty()) linked.from.add(0);
            for (const auto& name : way.from)
                if (const auto from = look_up(name, true)) linked.from.add(*from);
            out_.ways.push_back(linked);
        }
    }

    void add(const Policy& policy, const Rule& rule) {
        LinkedRule linked{&rule, &policy, {}, {}};
        const auto hold = [&](std::uint32_t domain) {
            const auto& of = out_.domains[domain];
            const auto mode = rule.mode ? *rule.mode : of.written->mode ? *of.written->mode : policy.mode;
            std::uint32_t effect = rule.effect == Effect::allow ? BW_EFFECT_ALLOW : BW_EFFECT_AUDIT;
            if (rule.effect == Effect::deny) effect = mode == Mode::enforce ? BW_EFFECT_DENY : BW_EFFECT_WARN;
            linked.domains[effect].add(domain);
        };
        if (rule.domains) {
            for (const auto& name : rule.domains->entries)
                if (const auto domain = look_up(name, false)) hold(*domain);
        } else {
            bool any = false;
            for (std::uint32_t i = 1; i < out_.domains.size(); ++i)
                if (out_.domains[i].policy == &policy) {
                    hold(i);
                    any = true;
                }
            if (!any)
                diagnostics_.error(rule.at, "this rule is about no domain",
                                   "without `domains` it is about all of its own policy, which defines none",
                                   "write domains = [\"NAME\"]");
        }
        for (const auto& name : rule.peers)
            if (const auto peer = look_up(name, true)) linked.peers.add(*peer);
        if (rule.peers.empty())
            for (std::uint32_t i = 0; i < out_.domains.size(); ++i) linked.peers.add(i);
        out_.rules.push_back(linked);
    }

    std::span<const Policy> policies_;
    Diagnostics& diagnostics_;
    Linked out_;
};

}  // namespace

Linked link(std::span<const Policy> policies, Diagnostics& diagnostics, std::span<const std::string> numbered) {
    return Linker(policies, diagnostics).run(numbered);
}

}  // namespace bpfwarden::policy
