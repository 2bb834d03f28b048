// SPDX-License-Identifier: Apache-2.0
// Differences that were planted are found, and every example is one: both images are asked.
#include "policy/diff.hpp"

#include <gmock/gmock.h>

#include "random_policy.hpp"

namespace bpfwarden::policy {

using ::testing::HasSubstr;
using enum Difference::Direction;

static std::string told(std::string_view was, std::string_view is) {
    const auto found = diff(parsed(was), parsed(is)).value();
    std::string out;
    for (const auto& one : found.differences)
        out += fmt::format("{} {}: {} {} {}>{} +{}\n", name_of(one.direction), one.domain, one.what, one.example,
                           one.was, one.is, one.more);
    return out;
}

static std::string with(std::string_view rules, std::string_view domain = "") {
    return domain_d(domain) + std::string(rules);
}

TEST(PolicyDiff, FindsWhatWasPlanted) {
    const auto allow = [](std::string_view paths) {
        return with(fmt::format("[[rule]]\nallow = ['read']\npaths = [{}]\n", paths), "default = 'deny'");
    };
    EXPECT_EQ(told(allow("'/a/**'"), allow("'/a/**'")), "");
    EXPECT_EQ(told(allow("'/a/{b,c}'"), allow("'/a/[bc]'")), "");
    EXPECT_EQ(told(allow("'/a/**', '/a/b'"), allow("'/a/**'")), "");
    EXPECT_EQ(told(allow("'/a/b'"), allow("'/a/b', '/a/c'")), "widens d: read /a/c denied>allowed +0\n");
    EXPECT_EQ(told(allow("'/a/*.log'"), allow("'/a/*.lo?'")), "widens d: read /a/.lox denied>allowed +0\n");
    EXPECT_EQ(told(allow("'/a/*'"), allow("'/a/{[!b]*,b?*}'")), "narrows d: read /a/b allowed>denied +0\n");
    EXPECT_EQ(told(allow("'/a'"), allow("'/a', 'tmpfs:/**'")), "widens d: read tmpfs:/x denied>allowed +0\n");
    EXPECT_THAT(told(allow("'/a'"), allow("'/a', '*:/x'")), HasSubstr(":/x denied>allowed"));
    EXPECT_EQ(
        told(with("[[rule]]\ndeny = ['read', 'write']\npaths = ['/a']\n"),
             with("[[rule]]\ndeny = ['read']\npaths = ['/a']\n")),
        "widens d: write /a denied>allowed +0\nwidens d: write a file whose name cannot be told denied>allowed +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['read']\npaths = ['/a/**']\nexcept = ['/a/b']\n"),
                   with("[[rule]]\ndeny = ['read']\npaths = ['/a/**']\n")),
              "narrows d: read /a/b allowed>denied +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['read']\npaths = ['/a']\n"),
                   with("[[rule]]\ndeny = ['read']\nmode = 'audit'\npaths = ['/a']\n")),
              "widens d: read /a denied>would_deny +0\nwidens d: read a file whose name cannot be told "
              "denied>would_deny +0\n");
    EXPECT_EQ(told(with("[[rule]]\naudit = ['read']\npaths = ['/a']\n"), with("")),
              "neither d: read /a audited>allowed +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['read']\nfile_systems = ['proc']\n"), with("")),
              "widens d: read any file of type proc denied>allowed +0\nwidens d: read a file whose name cannot be told "
              "denied>allowed +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['read']\nidentities = [{ device = '8:1', inode = 2, generation = 3 }]\n"),
                   with("")),
              "widens d: read a file whose name cannot be told denied>allowed +0\nwidens d: read device 8:1 inode 2 "
              "generation 3 denied>allowed +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['capable']\ncapabilities = ['chown', 'kill']\n"),
                   with("[[rule]]\ndeny = ['capable']\ncapabilities = ['kill']\n")),
              "widens d: capable chown denied>allowed +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['bpf', 'perf']\n"), with("[[rule]]\ndeny = ['bpf']\n")),
              "widens d: perf  denied>allowed +0\n");
    EXPECT_EQ(told(with("[[rule]]\ndeny = ['signal']\npeers = ['d']\n"),
                   with("[[rule]]\ndeny = ['signal']\npeers = ['unconfined']\n")),
              "narrows d: signal unconfined allowed>denied +0\nwidens d: signal d denied>allowed +0\n");
}

TEST(PolicyDiff, FindsAddresses) {
    const auto net = [](std::string_view list) {
        return with(fmt::format("[[rule]]\ndeny = ['connect']\nnet = [{}]\n", list));
    };
    EXPECT_EQ(told(net("{ address = '10.0.0.0/8' }"), net("{ address = '10.0.0.0/9' }, { address = '10.128.0.0/9' }")),
              "");
    EXPECT_THAT(told(net("{ address = '10.0.0.0/8' }"), net("{ address = '10.0.0.0/9' }")),
                HasSubstr("widens d: connect 10.128.0.0:0 denied>allowed"));
    EXPECT_EQ(told(net("{ family = 'inet', port = '80-90' }"), net("{ family = 'inet', port = '80-89' }")),
              "widens d: connect 0.0.0.0:90 denied>allowed +0\n");
    EXPECT_EQ(told(net("{ family = 'inet' }, { family = 'vsock' }"), net("{ family = 'inet' }")),
              "widens d: connect vsock denied>allowed +0\n");
    EXPECT_EQ(told(net("{ family = 'inet', port = [1, 2] }"), net("{ family = 'inet', port = '1-2' }")), "");
}

TEST(PolicyDiff, FindsSettingsAndWays) {
    EXPECT_THAT(told(with("", "default = 'deny'"), with("")), HasSubstr("widens d: read, write"));
    EXPECT_THAT(told(with("", "secure_exec = false"), with("")), HasSubstr("narrows d: secure_exec false -> true"));
    const auto way = [](std::string_view enter) {
        return fmt::format("format = 1\n[[domain]]\nname = 'd'\nenter = [{}]\n", enter);
    };
    EXPECT_EQ(told(way("{ exe = '/a' }"), way("{ exe = '/a', uid = 5 }")),
              "widens d: enter - exe /a > +0\nnarrows d: enter + exe /a, uid 5 > +0\n");
    EXPECT_THAT(told(way("{ exe = '/a' }, { uid = 1 }"), way("{ uid = 1 }, { exe = '/a' }")),
                HasSubstr("in another order"));
    EXPECT_THAT(told(way("{ exe = '/a' }"), "format = 1\n"), HasSubstr("widens d: domain is gone"));
    EXPECT_THAT(told("format = 1\n", way("{ exe = '/a' }")), HasSubstr("narrows d: domain is new"));
}

static Verdict verdict_at(const Compiled& image, std::uint32_t domain, Operations op, const std::string& path) {
    return Image(image).file_decision(domain, op, {path, "", std::nullopt}).verdict;
}

TEST(PolicyDiff, EveryExampleIsOneAndNoDifferenceIsMissed) {
    Random random(5);
    int differences = 0, hits = 0;
    for (int i = 0; i < cases(30); ++i) {
        const RandomPolicy was(random, 8);
        auto is = was;
        // A few changes, so that most is the same.
        for (auto n = 1 + random.below(3); n > 0; --n) {
            auto& rule = is.rules[random.below(is.rules.size())];
            if (random.chance(50)) rule.paths[0] = random_pattern(random);
            if (random.chance(30)) rule.except = {random_pattern(random)};
            if (random.chance(30)) rule.effect = "deny";
        }
        const auto text = was.text(), other = is.text();
        const auto first = compiled(text), second = compiled(other);
        const auto found = diff(parsed(text), parsed(other)).value();
        for (const auto& one : found.differences) {
            ASSERT_NE(one.ops, 0U);
            const auto domain = static_cast<std::uint32_t>(one.domain[1] - '0');
            if (one.example == "a file whose name cannot be told") continue;
            for (const auto& op : all_operations()) {
                if (!(one.ops & op.bit)) continue;
                EXPECT_EQ(name_of(verdict_at(first, domain, op.bit, one.example)), one.was) << one.example << "\n"
                                                                                            << text << other;
                EXPECT_EQ(name_of(verdict_at(second, domain, op.bit, one.example)), one.is) << one.example << "\n"
                                                                                            << text << other;
                ++differences;
            }
        }
        for (int k = 0; k < 100; ++k) {
            const auto path = random_path(random);
            for (std::uint32_t domain = 1; domain <= 3; ++domain)
                for (const auto op : {BW_OP_READ, BW_OP_WRITE, BW_OP_EXEC}) {
                    const auto before = verdict_at(first, domain, op, path), now = verdict_at(second, domain, op, path);
                    if (before == now) continue;
                    ++hits;
                    EXPECT_TRUE(std::ranges::any_of(found.differences,
                                                    [&, domain](const Difference& one) {
                                                        return one.domain == fmt::format("d{}", domain) &&
                                                               one.ops & op && one.was == name_of(before) &&
                                                               one.is == name_of(now);
                                                    }))
                        << path << " in d" << domain << "\n"
                        << text << other;
                }
        }
    }
    EXPECT_GT(differences, 50);
    EXPECT_GT(hits, 50);
}

}  // namespace bpfwarden::policy
