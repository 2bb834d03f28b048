// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as a policy: used by the fuzzer, and by the replay of its corpus in every build.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "policy/compile.hpp"
#include "policy/diff.hpp"
#include "policy/evaluate.hpp"
#include "policy/lint.hpp"
#include "policy/parse.hpp"

namespace bpfwarden::policy {

inline bool is_printable(std::string_view text) {
    for (const char c : text)
        if (c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) return false;
    return true;
}

// Patterns whose combinations are many: they are bounded, but a fuzzer has no time for the bound.
inline bool takes_long(const Policy& policy) {
    std::size_t stars = 0, any = 0;
    for (const auto& rule : policy.rules)
        for (const auto* globs : {&rule.paths, &rule.except, &rule.file_systems})
            for (const auto& glob : *globs)
                for (const auto& pattern : glob.patterns)
                    for (const auto& component : pattern.components) {
                        const auto count = std::ranges::count(component.text, '*');
                        if (component.kind == Component::Kind::glob && count > 1)
                            stars += static_cast<std::size_t>(count);
                        if (component.kind == Component::Kind::any || component.kind == Component::Kind::deep) ++any;
                    }
    return stars > 8 || any > 60;
}

// Empty if everything holds, else what does not.
inline std::string broken_invariant(const std::string& text) {
    const Names names{[](const std::string& name) { return name == "user" ? std::optional(7U) : std::nullopt; },
                      [](const std::string&) -> std::optional<std::uint32_t> { return std::nullopt; }};
    Diagnostics diagnostics;
    const auto policy = parse(text, "fuzz", names, diagnostics);
    if (!policy && diagnostics.ok()) return "nothing was read and nothing is wrong";
    if (policy && diagnostics.ok() && !takes_long(*policy)) {
        const std::vector<Policy> all{*policy};
        const auto image = compile(all, diagnostics);
        if (image.has_value() != diagnostics.ok()) return "an image of what is wrong, or none of what is right";
        if (image) {
            Diagnostics again;
            const auto other = compile(all, again);
            if (!other || other->digest != image->digest) return "the same policy gave another image";
            const Image of(*image);
            for (std::uint32_t domain = 0; domain < image->domains.size() && domain < 4; ++domain)
                for (const auto* path : {"/", "/etc/passwd", "/a/b/c", "tmpfs:/a", "overlay:/"}) {
                    const auto outcome = of.on_file(domain, BW_OPS_PATH, {path, "ext4", Identity{1, 2, 3, {}}});
                    if (outcome.denied & outcome.warned) return "refused and permitted at the same time";
                    if (domain == 0 && (outcome.denied | outcome.warned))
                        return "the unconfined domain is refused something";
                    const auto decision = of.file_decision(domain, BW_OP_READ, {path, "ext4", std::nullopt});
                    if (decision.rule > image->rules.size()) return "a rule that there is not";
                }
            lint(all, nullptr, diagnostics);
            if (!diagnostics.ok()) return "lint found an error";
            const auto same = diff(all, all);
            if (!same || !same->differences.empty()) return "a policy differs from itself";
        }
    }
    for (const auto& one : diagnostics.sorted())
        if (!is_printable(one.text())) return "a message holds control characters: " + one.text();
    return "";
}

}  // namespace bpfwarden::policy
