// SPDX-License-Identifier: Apache-2.0
// The image against what the language's page says, tried out letter by letter (brute_force.hpp): random patterns and
// rules on random paths. BPFWARDEN_SOAK=1 tries fifty times as many, with another seed each run.
#include <gtest/gtest.h>

#include <algorithm>

#include "brute_force.hpp"
#include "random_policy.hpp"

namespace bpfwarden::policy {

TEST(Matching, OneGlobOnOneName) {
    Random random(1);
    int matched = 0;
    for (int i = 0; i < cases(400); ++i) {
        const auto glob = random_component(random);
        const auto image = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/" + glob + "']\n");
        for (int k = 0; k < 25; ++k) {
            const auto name = random_name(random);
            const bool wanted = brute_force::path_matches("/" + glob, "/" + name);
            matched += wanted;
            ASSERT_EQ(on_path(image, "read", "/" + name) == Verdict::denied, wanted) << glob << " on " << name;
        }
    }
    EXPECT_GT(matched, 100);
}

// One policy with a rule for each pattern, so that patterns meet in all combinations.
TEST(Matching, ManyPatternsTogether) {
    Random random(2);
    int compared = 0, matched = 0;
    for (int i = 0; i < cases(40); ++i) {
        std::vector<std::string> patterns;
        std::string text = domain_d();
        for (int k = 0; k < 20; ++k) {
            patterns.push_back(random_pattern(random));
            text += fmt::format("[[rule]]\nname = '{}'\naudit = ['read']\npaths = ['{}']\n", k, patterns.back());
        }
        const auto image = compiled(text);
        ASSERT_FALSE(image.lines.empty()) << text;
        for (int k = 0; k < 60; ++k) {
            const auto path = random_path(random);
            const auto decision = Image(image).file_decision(1, BW_OP_READ, {path, "", std::nullopt});
            std::set<std::uint32_t> got, wanted;
            for (const auto& one : decision.matched) got.insert(one.rule);
            for (std::uint32_t r = 0; r < patterns.size(); ++r) {
                if (brute_force::path_matches(patterns[r], path)) wanted.insert(r + 1);
                ++compared;
            }
            matched += static_cast<int>(wanted.size());
            ASSERT_EQ(got, wanted) << path << "\n" << text;
        }
    }
    EXPECT_GE(compared, 10'000);
    EXPECT_GT(matched, compared / 100);
}

// Whole policies: effects, modes, exceptions, domains and defaults by the page's order of what wins.
TEST(Matching, RulesDecideAsThePageSays) {
    Random random(3);
    int by_verdict[4] = {};
    for (int i = 0; i < cases(40); ++i) {
        const RandomPolicy policy(random, 1 + random.below(12));
        const auto text = policy.text();
        const auto image = compiled(text);
        ASSERT_FALSE(image.lines.empty()) << text;
        for (int k = 0; k < 60; ++k) {
            const auto path = random_path(random);
            // A type that no pattern has is blind: that is another test's.
            if (path[0] != '/' && !Image(image).state_of(Start::detached, path)) continue;
            const auto domain = static_cast<std::uint32_t>(1 + random.below(3));
            const auto* op = random.one_of(std::vector<const char*>{"read", "write", "exec"});
            bool allow = false, deny = false, warn = false, audit = false;
            for (const auto& rule : policy.rules) {
                const auto matches = [&](const std::vector<std::string>& patterns) {
                    return std::ranges::any_of(patterns,
                                               [&](const auto& one) { return brute_force::path_matches(one, path); });
                };
                if (!rule.domains.contains(domain) || std::ranges::find(rule.ops, op) == rule.ops.end()) continue;
                if (!matches(rule.paths) || matches(rule.except)) continue;
                allow |= rule.effect == "allow";
                audit |= rule.effect == "audit";
                if (rule.effect == "deny") (rule.audit_mode || policy.audit_mode[domain - 1] ? warn : deny) = true;
            }
            const bool default_denies = policy.denies[domain - 1] && !allow;
            if (default_denies) (policy.audit_mode[domain - 1] ? warn : deny) = true;
            const auto wanted = deny    ? Verdict::denied
                                : warn  ? Verdict::would_deny
                                : audit ? Verdict::audited
                                        : Verdict::allowed;
            ++by_verdict[static_cast<std::size_t>(wanted)];
            ASSERT_EQ(on_path(image, op, path, domain), wanted) << op << " " << path << " in d" << domain << "\n"
                                                                << text;
        }
    }
    for (const auto count : by_verdict) EXPECT_GT(count, 20);
}

TEST(Matching, DeepPathsAndLongNames) {
    const auto image = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/**/end', '/" +
                                std::string(255, 'n') + "', '/*/" + std::string(254, 'n') + "?']\n");
    const auto deep = [](int depth, const std::string& last) {
        std::string path;
        for (int i = 1; i < depth; ++i) path += "/d";
        return path + "/" + last;
    };
    EXPECT_EQ(on_path(image, "read", deep(200, "end")), Verdict::denied);
    EXPECT_EQ(on_path(image, "read", deep(200, "en")), Verdict::allowed);
    EXPECT_EQ(on_path(image, "read", deep(256, "end")), Verdict::denied);
    EXPECT_EQ(on_path(image, "read", "/" + std::string(255, 'n')), Verdict::denied);
    EXPECT_EQ(on_path(image, "read", "/" + std::string(254, 'n')), Verdict::allowed);
    EXPECT_EQ(on_path(image, "read", "/a/" + std::string(255, 'n')), Verdict::denied);
    EXPECT_EQ(on_path(image, "read", "/a/" + std::string(254, 'n') + "x"), Verdict::denied);
    EXPECT_EQ(on_path(image, "read", "/a/" + std::string(253, 'n') + "xn"), Verdict::allowed);
    // Deeper than can be told: whatever a deny could have refused is refused, and nothing else.
    EXPECT_EQ(on_path(image, "read", deep(257, "x")), Verdict::denied);
    EXPECT_EQ(on_path(image, "write", deep(257, "x")), Verdict::allowed);
}

// More names that begin with the same 23 bytes than two buckets hold.
TEST(Matching, LongNamesThatBeginAlike) {
    std::string text = domain_d();
    for (int i = 0; i < 40; ++i)
        text += fmt::format(
            "[[rule]]\nname = '{}'\naudit = ['read']\npaths = ['/d/a-very-long-name-of-a-service-{}.conf']\n", i, i);
    const auto image = compiled(text);
    for (int i = 0; i < 45; ++i) {
        const auto decision = Image(image).file_decision(
            1, BW_OP_READ, {fmt::format("/d/a-very-long-name-of-a-service-{}.conf", i), "", std::nullopt});
        EXPECT_EQ(decision.rule, i < 40 ? static_cast<std::uint32_t>(i + 1) : 0U) << i;
    }
}

}  // namespace bpfwarden::policy
