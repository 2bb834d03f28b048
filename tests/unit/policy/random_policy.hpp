// SPDX-License-Identifier: Apache-2.0
// Random patterns, paths and rules that meet each other often.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "policies.hpp"

namespace bpfwarden::policy {

// Names of few letters; now and then bytes that no text has, a long one, or one that begins as others do.
inline std::string random_name(Random& random) {
    static const std::vector<std::string> odd{"\xff\xfe",
                                              "a\nb",
                                              "\x01",
                                              "..a",
                                              ".hidden",
                                              "a b",
                                              "\xc3\xa4",
                                              "*",
                                              "[a]",
                                              "{a,b}",
                                              "\\",
                                              std::string(255, 'a'),
                                              std::string(254, 'a') + "b",
                                              "a-name-of-more-than-23-bytes-1",
                                              "a-name-of-more-than-23-bytes-2",
                                              "a-name-of-more-than-23-bytes-3",
                                              "a-name-of-more-than-23-bytes-4",
                                              "a-name-of-more-than-23-bytes-5",
                                              "exactly-twenty-three-by",
                                              "exactly-twenty-four-byte"};
    if (random.chance(12)) return random.one_of(odd);
    std::string name;
    for (auto n = 1 + random.below(3); n > 0; --n) name += static_cast<char>('a' + random.below(3));
    return name;
}

inline std::string random_path(Random& random, std::size_t deepest = 5) {
    std::string path = random.chance(15) ? (random.chance(50) ? "tmpfs:" : "overlay:") : "";
    const auto depth = random.below(deepest + 1);
    if (depth == 0) return path + "/";
    for (std::size_t i = 0; i < depth; ++i) path += "/" + random_name(random);
    return path;
}

// A name of a pattern, as the language writes it. Text in TOML is UTF-8, so other bytes are met by wildcards only.
inline std::string random_component(Random& random) {
    static const std::vector<std::string> globs{"*",
                                                "a*",
                                                "*a",
                                                "?",
                                                "??",
                                                "[ab]",
                                                "[!a]",
                                                "[a-b]*",
                                                "*b*",
                                                "a?",
                                                "[]a]",
                                                "[!]a]",
                                                "[a-]b",
                                                "a[bc]",
                                                "?*",
                                                "*[!a-b]",
                                                "[\\]]",
                                                "a\\*b",
                                                "\\*",
                                                "*-1",
                                                "[^c]*",
                                                ".*",
                                                "a-name-*-[12]",
                                                "*-bytes-?",
                                                "*\\\\",
                                                "*a*b*",
                                                "[\\a-c]"};
    static const std::vector<std::string> words{"a",
                                                "b",
                                                "c",
                                                "ab",
                                                "ba",
                                                "abc",
                                                ".hidden",
                                                "a b",
                                                "a-name-of-more-than-23-bytes-1",
                                                "a-name-of-more-than-23-bytes-2",
                                                "a-name-of-more-than-23-bytes-3",
                                                "a-name-of-more-than-23-bytes-4",
                                                "exactly-twenty-three-by",
                                                "exactly-twenty-four-byte"};
    if (random.chance(30)) return random.one_of(globs);
    if (random.chance(8)) return "{" + random.one_of(words) + "," + random.one_of(globs) + "}";
    return random.one_of(words);
}

inline std::string random_pattern(Random& random) {
    std::string pattern =
        random.chance(12) ? random.one_of(std::vector<std::string>{"tmpfs:", "*:", "{overlay,tmpfs}:"}) : "";
    const auto depth = random.below(5);
    for (std::size_t i = 0; i < depth; ++i)
        pattern += "/" + (random.chance(18) ? std::string("**") : random_component(random));
    if (random.chance(8)) pattern += "{,/" + random_component(random) + ",/**}";
    if (pattern.empty() || pattern.ends_with(':')) pattern += "/";
    // Braces after a lone "/" or ":" begin with a "/" themselves or are nothing.
    const auto slash = pattern.find('/');
    if (slash == std::string::npos || (slash > 0 && pattern[slash - 1] == ',')) pattern = "/a" + pattern;
    return pattern;
}

struct RandomRule {
    std::string effect;
    std::vector<std::string> paths, except;
    std::vector<std::string> ops;
    std::set<std::uint32_t> domains;
    bool audit_mode = false;
};

struct RandomPolicy {
    std::vector<RandomRule> rules;
    std::vector<bool> denies;  // by domain, from 1
    std::vector<bool> audit_mode;

    explicit RandomPolicy(Random& random, std::size_t rule_count) {
        for (std::size_t i = 0; i < 3; ++i) {
            denies.push_back(random.chance(50));
            audit_mode.push_back(random.chance(30));
        }
        for (std::size_t i = 0; i < rule_count; ++i) {
            RandomRule rule;
            rule.effect = random.one_of(std::vector<std::string>{"allow", "allow", "deny", "audit"});
            for (auto n = 1 + random.below(3); n > 0; --n) rule.paths.push_back(random_pattern(random));
            if (random.chance(40))
                for (auto n = 1 + random.below(2); n > 0; --n) rule.except.push_back(random_pattern(random));
            for (const auto* op : {"read", "write", "exec"})
                if (random.chance(50)) rule.ops.emplace_back(op);
            if (rule.ops.empty()) rule.ops.emplace_back("read");
            for (std::uint32_t domain = 1; domain <= denies.size(); ++domain)
                if (random.chance(60)) rule.domains.insert(domain);
            if (rule.domains.empty()) rule.domains.insert(1);
            rule.audit_mode = rule.effect == "deny" && random.chance(30);
            rules.push_back(std::move(rule));
        }
    }

    static std::string quoted_list(const std::vector<std::string>& list) {
        std::set<std::string> seen;
        std::string out;
        for (const auto& one : list)
            if (seen.insert(one).second) out += (out.empty() ? "'" : ", '") + one + "'";
        return "[" + out + "]";
    }

    std::string text() const {
        std::string out = "format = 1\n";
        for (std::size_t i = 0; i < denies.size(); ++i)
            out += fmt::format("[[domain]]\nname = 'd{}'\nenter = [{{ exe = '/x{}' }}]\ndefault = '{}'\nmode = '{}'\n",
                               i + 1, i + 1, denies[i] ? "deny" : "allow", audit_mode[i] ? "audit" : "enforce");
        for (const auto& rule : rules) {
            std::vector<std::string> domains;
            for (const auto domain : rule.domains) domains.push_back(fmt::format("d{}", domain));
            out += fmt::format("[[rule]]\n{} = {}\npaths = {}\ndomains = {}\n", rule.effect, quoted_list(rule.ops),
                               quoted_list(rule.paths), quoted_list(domains));
            if (!rule.except.empty()) out += fmt::format("except = {}\n", quoted_list(rule.except));
            if (rule.audit_mode) out += "mode = 'audit'\n";
        }
        return out;
    }
};

}  // namespace bpfwarden::policy
