// SPDX-License-Identifier: Apache-2.0
// Files that are known by digests and labels: text to values, values to decisions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include <fmt/format.h>

#include "policies.hpp"
#include "policy/describe.hpp"
#include "policy/diff.hpp"
#include "policy/lint.hpp"

namespace bpfwarden::policy {

using ::testing::HasSubstr;
using ::testing::Not;

static std::string digest(char digit, std::size_t bytes = 32) { return std::string(bytes * 2, digit); }
static Pin pin(PinKind kind, const std::string& text) {
    auto value = parse_pin(kind, text);
    EXPECT_TRUE(value) << text;
    return *value;
}

TEST(Pins, AreWrittenAsTheyAreRead) {
    using enum PinKind;
    const std::vector<std::pair<PinKind, std::string>> all{
        {fsverity, "sha256:" + digest('0')},
        {fsverity, "sha512:" + digest('a', 64)},
        {ima, "sha256:" + digest('1')},
        {ima, "sha384:" + digest('f', 48)},
        {ima, "sha512:" + digest('9', 64)},
        {label, "web"},
        {user_label, "a b:c"},
    };
    for (const auto& [kind, text] : all) EXPECT_EQ(text_of(pin(kind, text)), text);
}

TEST(Pins, WhatIsNone) {
    using enum PinKind;
    for (const auto& text : {digest('0'), "sha256:" + digest('0', 31), "sha256:" + digest('g'), "sha256:" + digest('A'),
                             "sha256:" + digest('0') + "0", "sha1:" + digest('0', 20), "md5:" + digest('0', 16),
                             "sha512:" + digest('0'), std::string("sha256:"), std::string(":"), std::string()})
        for (const auto kind : {fsverity, ima}) EXPECT_FALSE(parse_pin(kind, text)) << text;
    EXPECT_FALSE(parse_pin(fsverity, "sha384:" + digest('0', 48))) << "fs-verity does not have it";
    for (const auto& text : {std::string(), std::string(49, 'x'), std::string("a\0b", 3)})
        for (const auto kind : {label, user_label}) EXPECT_FALSE(parse_pin(kind, text)) << text;
    EXPECT_TRUE(parse_pin(label, std::string(48, 'x')));
}

static std::string entered_by(const std::string& ways) {
    return "format = 1\n[[domain]]\nname = 'd'\nenter = [ " + ways + " ]\n";
}

TEST(Pins, ProblemsAreTold) {
    EXPECT_THAT(problems(entered_by("{ ima = '" + digest('0') + "' }")),
                HasSubstr("is no digest\n  it is written ALGORITHM:DIGITS; known are sha256, sha384, sha512"));
    EXPECT_THAT(problems(entered_by("{ fsverity = 'sha384:" + digest('0', 48) + "' }")),
                HasSubstr("the algorithms for fsverity are sha256, sha512"));
    EXPECT_THAT(problems(entered_by("{ label = '" + std::string(49, 'x') + "' }")), HasSubstr("is no label"));
    EXPECT_THAT(problems(entered_by("{ user_label = 1 }")), HasSubstr("user_label"));
    EXPECT_THAT(problems(entered_by("{ xattr = 'user.x' }")), HasSubstr("labels are in two attributes"));
    const auto ruled = [](const std::string& rule) { return domain_d("[[rule]]\n" + rule); };
    EXPECT_THAT(
        problems(ruled("deny = ['read', 'chmod']\nlabels = ['x']")),
        HasSubstr("\"chmod\" does not go with labels\n  a label is read when a file is opened: for read, write, "
                  "append, exec"));
    EXPECT_THAT(problems(ruled("deny = ['@read']\nuser_labels = ['x']")),
                HasSubstr("of \"@read\", map_exec does not go with labels"));
    EXPECT_THAT(problems(ruled("deny = ['read']\nlabels = []")), HasSubstr("an empty list of labels matches nothing"));
    EXPECT_THAT(problems(ruled("deny = ['bind']\nlabels = ['x']")),
                HasSubstr("does not go with paths, file_systems, "));
    EXPECT_EQ(problems(ruled("deny = ['read', 'write', 'append', 'exec']\nlabels = ['x']\npaths = ['/a']")), "");
}

// The number of the way that an exec takes; nothing: it stays.
static std::optional<std::uint32_t> way(const Compiled& compiled, std::vector<Pin> pins,
                                        const std::string& path = "/p") {
    Exec exec;
    exec.file = {path, "", std::nullopt, std::move(pins)};
    exec.cgroup = "/";
    return Image(compiled).entry(exec);
}

TEST(Pins, WaysIn) {
    using enum PinKind;
    const auto one = "sha256:" + digest('1'), two = "sha256:" + digest('2');
    const auto image = compiled(entered_by(
        fmt::format("{{ fsverity = '{0}' }}, {{ ima = '{0}' }}, {{ ima = '{1}', label = 'a' }}, {{ exe = '/p', "
                    "user_label = 'a' }}, {{ label = 'b', uid = 7 }}",
                    one, two)));
    EXPECT_EQ(way(image, {}), std::nullopt);
    EXPECT_EQ(way(image, {pin(fsverity, one)}), 0U);
    EXPECT_EQ(way(image, {pin(ima, one)}), 1U) << "each kind for itself";
    EXPECT_EQ(way(image, {pin(fsverity, one), pin(ima, one)}), 0U);
    EXPECT_EQ(way(image, {pin(fsverity, two)}), std::nullopt);
    EXPECT_EQ(way(image, {pin(ima, two)}), std::nullopt) << "all keys must fit";
    EXPECT_EQ(way(image, {pin(ima, two), pin(label, "b")}), std::nullopt);
    EXPECT_EQ(way(image, {pin(ima, two), pin(user_label, "a")}), 3U);
    EXPECT_EQ(way(image, {pin(ima, two), pin(label, "a")}), 2U);
    EXPECT_EQ(way(image, {pin(user_label, "a")}), 3U);
    EXPECT_EQ(way(image, {pin(user_label, "a")}, "/q"), std::nullopt);
    EXPECT_EQ(way(image, {pin(label, "b")}), std::nullopt) << "another user";
    for (const char* text : {"aa", "A"}) EXPECT_EQ(way(image, {pin(user_label, text)}), std::nullopt) << text;
}

// Digests that only differ behind what an image holds of them cannot be told apart, and need not be: 48 bytes decide.
TEST(Pins, LongDigests) {
    using enum PinKind;
    const auto text = "sha512:" + digest('1', 64);
    const auto image = compiled(entered_by("{ ima = '" + text + "' }"));
    EXPECT_EQ(way(image, {pin(ima, text)}), 0U);
    for (std::size_t i = 0; i < 96; ++i) {
        auto other = text;
        other[7 + i] = '2';
        EXPECT_EQ(way(image, {pin(ima, other)}), std::nullopt) << i;
    }
    EXPECT_EQ(way(image, {pin(ima, "sha384:" + digest('1', 48))}), std::nullopt) << "the same beginning";
}

TEST(Pins, Many) {
    using enum PinKind;
    std::string ways;
    std::vector<Pin> pins;
    for (unsigned i = 0; i < 3000; ++i) {
        const auto text = fmt::format("sha256:{:064x}", i * 2654435761U);
        pins.push_back(pin(ima, text));
        ways += fmt::format("{{ exe = '/p{}', ima = '{}' }},\n", i, text);
    }
    const auto image = compiled(entered_by(ways));
    for (unsigned i = 0; i < 3000; ++i) {
        EXPECT_EQ(way(image, {pins[i]}, fmt::format("/p{}", i)), i);
        EXPECT_EQ(way(image, {pins[i]}, fmt::format("/p{}", (i + 1) % 3000)), std::nullopt);
    }
}

TEST(Pins, RulesByLabel) {
    using enum PinKind;
    using enum Verdict;
    const auto verdict = [](const Compiled& compiled, const char* op, std::vector<Pin> pins, const std::string& path) {
        return Image(compiled).file_decision(1, *operation_bit(op), {path, "", std::nullopt, std::move(pins)}).verdict;
    };
    const auto denies = compiled(domain_d("[[rule]]\ndeny = ['read']\nlabels = ['secret', 'more']\npaths = ['/a']"));
    EXPECT_EQ(verdict(denies, "read", {}, "/b"), allowed);
    EXPECT_EQ(verdict(denies, "read", {}, "/a"), denied);
    EXPECT_EQ(verdict(denies, "read", {pin(label, "secret")}, "/b"), denied);
    EXPECT_EQ(verdict(denies, "read", {pin(label, "more")}, "/b"), denied);
    EXPECT_EQ(verdict(denies, "read", {pin(label, "secre")}, "/b"), allowed);
    EXPECT_EQ(verdict(denies, "read", {pin(user_label, "secret")}, "/b"), allowed) << "the other attribute";
    EXPECT_EQ(verdict(denies, "write", {pin(label, "secret")}, "/b"), allowed);

    const auto allows =
        compiled(domain_d("default = 'deny'\n[[rule]]\nallow = ['read']\nuser_labels = ['public']\n"
                          "[[rule]]\ndeny = ['read']\npaths = ['/never']"));
    EXPECT_EQ(verdict(allows, "read", {}, "/b"), denied);
    EXPECT_EQ(verdict(allows, "read", {pin(user_label, "public")}, "/b"), allowed);
    EXPECT_EQ(verdict(allows, "read", {pin(user_label, "public")}, "/never"), denied) << "a deny wins";
    EXPECT_EQ(verdict(allows, "write", {pin(user_label, "public")}, "/b"), denied);
    EXPECT_EQ(verdict(allows, "read", {pin(label, "public")}, "/b"), denied);
}

// Whoever may set the label decides who is held.
TEST(Pins, ALabelThatAConfinedProcessCanSet) {
    const auto warned = [](const std::string& text) {
        const auto policies = parsed(text);
        Diagnostics diagnostics;
        lint(policies, nullptr, diagnostics);
        return all_of(diagnostics);
    };
    const auto domain = [](const std::string& key, const std::string& rules) {
        return fmt::format("format = 1\nmode = 'enforce'\n[[domain]]\nname = 'd'\nenter = [ {{ {} = 'x' }} ]\n{}", key,
                           rules);
    };
    const std::string refused = "[[rule]]\ndeny = ['setxattr']\nfile_systems = ['*']\n";
    EXPECT_THAT(warned(domain("user_label", "")), HasSubstr("processes of the domain \"d\" can set the label \"x\""));
    EXPECT_THAT(warned(domain("user_label", "[[rule]]\ndeny = ['setxattr']\npaths = ['/etc/**']\n")),
                HasSubstr("can set the label"));
    EXPECT_EQ(warned(domain("user_label", refused)), "");
    EXPECT_EQ(warned(domain("user_label", "default = 'deny'\n")), "");
    EXPECT_THAT(warned(domain("user_label", "default = 'deny'\n[[rule]]\nallow = ['setxattr']\npaths = ['/a']\n")),
                HasSubstr("can set the label"));
    EXPECT_THAT(warned(domain("label", "")), Not(HasSubstr("can set"))) << "only CAP_SYS_ADMIN sets that";
    EXPECT_THAT(warned(domain("label",
                              "default = 'deny'\n[[rule]]\nallow = ['read']\nuser_labels = ['y']\n"
                              "[[rule]]\nallow = ['setxattr']\npaths = ['/a']\n")),
                HasSubstr("can set the label \"y\""));
    EXPECT_THAT(warned(domain("label", "[[rule]]\ndeny = ['read']\nuser_labels = ['y']\n")), Not(HasSubstr("can set")))
        << "what only refuses is told of nothing that it allows";
}

TEST(Pins, WaysThatNothingTakes) {
    const auto warned = [](const std::string& ways) {
        const auto policies = parsed(entered_by(ways) + "default = 'deny'\n");
        Diagnostics diagnostics;
        lint(policies, nullptr, diagnostics);
        return all_of(diagnostics);
    };
    const auto one = "ima = 'sha256:" + digest('1') + "'", two = "ima = 'sha256:" + digest('2') + "'";
    EXPECT_EQ(warned("{ " + one + " }, { " + two + " }, { label = 'x' }"), "");
    EXPECT_EQ(warned("{ " + one + ", uid = 1 }, { " + one + " }"), "");
    EXPECT_THAT(warned("{ " + one + " }, { " + one + ", label = 'x' }"), HasSubstr("nothing takes this way in"));
    EXPECT_THAT(warned("{ uid = 1 }, { " + one + ", uid = 1 }"), HasSubstr("nothing takes this way in"));
}

TEST(Pins, Diff) {
    const auto differences = [](const std::string& was, const std::string& is) {
        const auto first = parsed(domain_d(was)), second = parsed(domain_d(is));
        const auto found = diff(first, second);
        std::string out;
        for (const auto& one : found->differences)
            out += fmt::format("{} {} {} {}->{}\n", name_of(one.direction), one.what, one.example, one.was, one.is);
        return out;
    };
    const std::string secret = "[[rule]]\ndeny = ['read']\nlabels = ['secret']";
    EXPECT_EQ(differences(secret, secret), "");
    EXPECT_THAT(differences("", secret), HasSubstr("narrows read label secret allowed->denied\n"));
    EXPECT_THAT(differences(secret, ""), HasSubstr("widens read label secret denied->allowed\n"));
}

TEST(Pins, WhatAnImageNeeds) {
    EXPECT_EQ(compiled(domain_d()).kinds, 0U);
    const auto image = compiled(entered_by("{ ima = 'sha512:" + digest('0', 64) + "' }, { user_label = 'x' }") +
                                "[[rule]]\ndeny = ['read']\nlabels = ['y']\n");
    EXPECT_EQ(image.kinds, bit(PinKind::ima) | bit(PinKind::label) | bit(PinKind::user_label));
    EXPECT_EQ(image.ima_algorithms, 1U << 6);
}

// What an exec reads of the file: a digest of a large one is dear, so it is asked for where a way in goes by it alone.
TEST(Pins, AreReadInDomainsThatAWayLeadsFrom) {
    using enum PinKind;
    const auto one = "sha256:" + digest('1');
    const auto image = compiled(fmt::format(
        "format = 1\n"
        "[[domain]]\nname = 'gate'\nenter = [ {{ exe = '/gate' }} ]\n"
        "[[domain]]\nname = 'inner'\nenter = [ {{ ima = '{0}', from = ['gate'] }}, {{ uid = 7, from = ['last'] }} ]\n"
        "[[domain]]\nname = 'both'\nenter = [ {{ fsverity = '{0}', from = ['gate'] }}, {{ label = 'a', "
        "from = ['inner', 'unconfined'] }} ]\n"
        "[[domain]]\nname = 'last'\nenter = [ {{ user_label = 'x' }} ]\n",
        one));
    bw_image_head head;
    std::memcpy(&head, &image.lines[0], sizeof head);
    std::map<std::string, std::uint32_t> kinds;
    for (std::uint32_t number = 0; number < head.domains; ++number) {
        bw_domain domain;
        std::memcpy(&domain, &image.lines[head.domain_line + number * BW_DOMAIN_LINES], sizeof domain);
        kinds[image.domains[number]] = domain.pin_kinds;
    }
    const std::map<std::string, std::uint32_t> expected{{"unconfined", bit(label) | bit(user_label)},
                                                        {"gate", bit(ima) | bit(fsverity)},
                                                        {"inner", bit(label)},
                                                        {"both", 0},
                                                        {"last", 0}};
    EXPECT_EQ(kinds, expected);
}

}  // namespace bpfwarden::policy
