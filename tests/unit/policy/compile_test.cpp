// SPDX-License-Identifier: Apache-2.0
// The image as bytes: deterministic, sized, and refused with a reason when it would be too large.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "policy/image_writer.hpp"
#include "random_policy.hpp"

namespace bpfwarden::policy {

static bool same_bytes(const std::vector<Line>& one, const std::vector<Line>& other) {
    return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size() * sizeof(Line)) == 0;
}

TEST(Compile, TheSamePolicyGivesTheSameBytes) {
    Random random(4);
    for (int i = 0; i < cases(10); ++i) {
        const RandomPolicy policy(random, 20);
        const auto one = compiled(policy.text()), other = compiled(policy.text());
        EXPECT_TRUE(same_bytes(one.lines, other.lines));
        EXPECT_EQ(one.digest, other.digest);
        EXPECT_EQ(one.digest.size(), 64U);
    }
    const auto one = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/a']\n");
    const auto other = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/b']\n");
    const auto named = compiled(domain_d() + "[[rule]]\nname = 'x'\ndeny = ['read']\npaths = ['/a']\n");
    EXPECT_NE(one.digest, other.digest);
    EXPECT_NE(one.digest, named.digest);
    EXPECT_TRUE(same_bytes(one.lines, named.lines));
}

TEST(Compile, TheGenerationIsAllThatChanges) {
    auto image = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/a']\n");
    auto numbered = image;
    set_generation(numbered.lines, 77);
    bw_image_head head;
    std::memcpy(&head, numbered.lines[0].bytes.data(), sizeof head);
    EXPECT_EQ(head.generation, 77U);
    EXPECT_EQ(head.magic, BW_IMAGE_MAGIC);
    EXPECT_EQ(head.lines, numbered.lines.size());
    EXPECT_EQ(on_path(numbered, "read", "/a"), Verdict::denied);
    set_generation(numbered.lines, 0);
    EXPECT_TRUE(same_bytes(image.lines, numbered.lines));
}

TEST(Compile, FilesMakeOneSet) {
    auto both = parsed(domain_d() + "[[rule]]\nname = 'one'\ndeny = ['read']\npaths = ['/a']\n", "one.toml");
    auto more = parsed(
        "format = 1\n[[domain]]\nname = 'e'\nenter = [{ exe = '/e', from = ['d'] }]\n[[rule]]\ndomains = ['d', "
        "'e']\nmode = 'enforce'\n"
        "deny = ['write']\npaths = ['/a']\n",
        "two.toml");
    both.push_back(more.at(0));
    const auto image = compiled(both);
    EXPECT_EQ(on_path(image, "write", "/a", 1), Verdict::denied);
    EXPECT_EQ(on_path(image, "write", "/a", 2), Verdict::denied);
    EXPECT_EQ(on_path(image, "read", "/a", 2), Verdict::allowed);
    EXPECT_EQ(image.rules.at(1).name, "two.toml:5");
    Diagnostics diagnostics;
    EXPECT_FALSE(compile(more, diagnostics));
    EXPECT_NE(all_of(diagnostics).find("two.toml:4:32: error: there is no domain \"d\""), std::string::npos)
        << all_of(diagnostics);
}

TEST(Compile, DomainsKeepTheNumbersThatTheyHave) {
    const auto policies = parsed("format = 1\nname = 'n'\n[[domain]]\nname = 'new'\nenter = [{ exe = '/new' }]\n");
    const std::vector<std::string> numbered{"unconfined", "gone", "new"};
    Diagnostics diagnostics;
    const auto fresh = compile(policies, diagnostics), kept = compile(policies, diagnostics, numbered);
    ASSERT_TRUE(fresh && kept);
    EXPECT_EQ(fresh->domains, (std::vector<std::string>{"unconfined", "new"}));
    EXPECT_EQ(kept->domains, numbered);
}

TEST(Compile, SaysWhichHooksAreNeeded) {
    EXPECT_EQ(compiled(domain_d()).ops, 0U);
    EXPECT_EQ(compiled(domain_d() + "[[rule]]\naudit = ['read']\nfile_systems = ['*']\n[[rule]]\ndeny = ['bpf']\n").ops,
              BW_OP_READ | BW_OP_BPF);
    Operations all = 0;
    for (const auto& one : all_operations()) all |= one.bit;
    EXPECT_EQ(compiled(domain_d("default = 'deny'")).ops, all);
}

// Directories with the same globs share the byte automaton, and equal states are one.
TEST(Compile, WhatIsEqualIsOne) {
    std::string text = domain_d() + "[[rule]]\ndeny = ['read']\npaths = [";
    for (int i = 0; i < 500; ++i) text += fmt::format("'/srv/{}/*.log',", i);
    const auto many = compiled(text + "]\n");
    EXPECT_LE(many.sizes.states, 6U);
    EXPECT_LE(many.sizes.glob_rows, 7U);
    EXPECT_EQ(many.sizes.edges, 502U);
    // Each with a rule of its own: the states differ, the byte automaton does not.
    text = domain_d();
    for (int i = 0; i < 500; ++i)
        text += fmt::format("[[rule]]\nname = '{}'\ndeny = ['read']\npaths = ['/srv/{}/*.log']\n", i, i);
    EXPECT_LE(compiled(text).sizes.glob_rows, 7U);
}

static std::string many_rules(int count) {
    std::string text = domain_d();
    for (int i = 0; i < count; ++i)
        text += fmt::format(
            "[[rule]]\nname = 'r{}'\ndeny = ['write']\npaths = ['/srv/app{}/data/**', '/srv/app{}/logs/*.log', "
            "'/opt/site{}/etc/conf']\n",
            i, i, i, i);
    return text;
}

TEST(Compile, TenThousandRules) {
    for (const int count : {10, 1000, 10'000}) {
        const auto text = many_rules(count);
        const auto start = std::chrono::steady_clock::now();
        const auto image = compiled(text);
        const auto ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        fmt::print("{} rules: {:.0f} ms, image {} KiB, {} states, {} edges, peak {} MiB\n", count, ms,
                   image.lines.size() / 16, image.sizes.states, image.sizes.edges, usage.ru_maxrss / 1024);
        EXPECT_LT(image.lines.size() * sizeof(Line), 16U << 20);
        EXPECT_LT(usage.ru_maxrss, 1 << 20) << "KiB";
        const Image of(image);
        for (int i = 0; i < count; i += 1 + count / 2000) {
            const auto rule = [&](const std::string& path) {
                return of.file_decision(1, BW_OP_WRITE, {path, "", std::nullopt}).rule;
            };
            const auto number = static_cast<std::uint32_t>(i + 1);
            ASSERT_EQ(rule(fmt::format("/srv/app{}/data/x/y", i)), number);
            ASSERT_EQ(rule(fmt::format("/srv/app{}/logs/a.log", i)), number);
            ASSERT_EQ(rule(fmt::format("/opt/site{}/etc/conf", i)), number);
            ASSERT_EQ(rule(fmt::format("/srv/app{}/logs/a.txt", i)), 0U);
            ASSERT_EQ(rule(fmt::format("/opt/site{}/etc/conf", i + count)), 0U);
        }
    }
}

static std::string rule_on(const std::string& paths) { return "[[rule]]\ndeny = ['read']\npaths = [" + paths + "]\n"; }

TEST(Compile, WhatWouldBeTooLargeIsRefusedWithAReason) {
    // Every subset of these directories is a state.
    std::string text = domain_d();
    for (int i = 0; i < 24; ++i) text += rule_on(fmt::format("'/**/a{}/**/b{}/**/c'", i, i));
    auto said = problems(text);
    EXPECT_NE(said.find("t.toml: error: this policy needs more than 32 MiB for its globs"), std::string::npos) << said;
    EXPECT_NE(said.find("/**/a"), std::string::npos) << said;
    EXPECT_NE(said.find("write directories out"), std::string::npos) << said;

    // Which of the last 20 names was "a": two to the 20 states.
    std::string last;
    for (int i = 0; i < 20; ++i) last += "/*";
    said = problems(domain_d() + rule_on("'/**/a" + last + "'"));
    EXPECT_NE(
        said.find(
            "t.toml: error: this policy needs more than 400000 states\n  these patterns meet most others: \"/**/a/*"),
        std::string::npos)
        << said;

    // Every subset of these letters is a row.
    text = domain_d();
    for (int i = 0; i < 20; ++i)
        text += rule_on(fmt::format("'/d/*{}*{}*'", static_cast<char>('a' + i), static_cast<char>('a' + i)));
    said = problems(text);
    EXPECT_NE(said.find("t.toml: error: the globs of this policy need too many tables"), std::string::npos) << said;

    text = "format = 1\n";
    for (int i = 0; i < 256; ++i) text += fmt::format("[[domain]]\nname = 'd{}'\nenter = [{{ exe = '/x{}' }}]\n", i, i);
    EXPECT_NE(problems(text).find("error: more than 255 domains"), std::string::npos);

    text = domain_d() + "[[rule]]\nallow = ['bind']\nnet = [{ family = 'inet', port = [";
    for (int i = 0; i < 257; ++i) text += fmt::format("{},", i * 2);
    EXPECT_NE(
        problems(text + "] }]\n").find("t.toml:7:1: error: more than 256 addresses and ports in the domain \"d\""),
        std::string::npos);

    text = "format = 1\n[[domain]]\nname = 'd'\nenter = [";
    for (int i = 0; i < 65; ++i) text += fmt::format("{{ uid = {} }},\n", i);
    EXPECT_NE(problems(text + "]\n").find("error: more than 64 ways into domains without `exe`"), std::string::npos);
    text = "format = 1\n[[domain]]\nname = 'd'\nenter = [";
    for (int i = 0; i < 65; ++i) text += fmt::format("{{ exe = '/x', uid = {} }},\n", i);
    EXPECT_NE(problems(text + "]\n").find("error: more than 64 ways into domains fit one file"), std::string::npos);
}

TEST(Compile, TheMostThereCanBeWorks) {
    std::string text = "format = 1\nmode = 'enforce'\n";
    for (int i = 1; i < 256; ++i) text += fmt::format("[[domain]]\nname = 'd{}'\nenter = [{{ exe = '/x{}' }}]\n", i, i);
    for (int i = 1; i < 256; ++i)
        text += fmt::format(
            "[[rule]]\ndomains = ['d{}']\ndeny = ['read']\npaths = ['/p{}/**']\n[[rule]]\ndomains = ['d{}']\ndeny = "
            "['signal']\npeers = ['d{}']\n",
            i, i, i, 256 - i);
    const auto image = compiled(text);
    for (std::uint32_t domain = 1; domain < 256; domain += 17) {
        EXPECT_EQ(on_path(image, "read", fmt::format("/p{}/x", domain), domain), Verdict::denied);
        EXPECT_EQ(on_path(image, "read", fmt::format("/p{}/x", domain), 256 - domain), Verdict::allowed);
        EXPECT_EQ(Image(image).domain_decision(domain, BW_OP_SIGNAL, 256 - domain).verdict, Verdict::denied);
        EXPECT_EQ(Image(image).domain_decision(domain, BW_OP_SIGNAL, domain).verdict, Verdict::allowed);
        Exec exec;
        exec.file.path = fmt::format("/x{}", domain);
        EXPECT_EQ(Image(image).entry(exec), domain - 1);
    }
}

}  // namespace bpfwarden::policy
