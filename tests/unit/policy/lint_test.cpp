// SPDX-License-Identifier: Apache-2.0
#include "policy/lint.hpp"

#include <gmock/gmock.h>

#include <fmt/format.h>

#include "policies.hpp"

namespace bpfwarden::policy {

using ::testing::HasSubstr;

static std::string warned(const std::string& text, const LinkOf& link_of = nullptr) {
    Diagnostics diagnostics;
    const auto policies = parsed(text);
    lint(policies, link_of, diagnostics);
    EXPECT_TRUE(diagnostics.ok());
    return all_of(diagnostics);
}

static std::string denies(std::string_view rules) { return domain_d("default = 'deny'") + std::string(rules); }
static std::string allows(std::string_view rules) { return domain_d() + std::string(rules); }
static std::string rule(std::string_view effect, std::string_view ops, std::string_view paths,
                        std::string_view more = "") {
    return fmt::format("[[rule]]\n{} = [{}]\npaths = [{}]\n{}\n", effect, ops, paths, more);
}

TEST(PolicyLint, SaysNothingOfWhatIsMeant) {
    EXPECT_EQ(warned(denies(rule("allow", "'read'", "'/a/**'") + rule("deny", "'read'", "'/a/secret/**'"))), "");
    EXPECT_EQ(warned(denies(rule("allow", "'read'", "'/a/**'") + rule("allow", "'read', 'write'", "'/a/b/**'"))), "");
    EXPECT_EQ(warned(allows(rule("deny", "'write'", "'/etc/**'", "except = ['/etc/mtab']") +
                            rule("audit", "'read'", "'/etc/**'"))),
              "");
    EXPECT_EQ(warned(denies("[[rule]]\nallow = ['bind']\nnet = [{ port = 80 }]\n[[rule]]\nallow = "
                            "['capable']\ncapabilities = ['kill']\n"
                            "[[rule]]\nallow = ['signal']\npeers = ['d']\n[[rule]]\ndeny = ['bpf', 'perf']\n")),
              "");
}

TEST(PolicyLint, RulesThatDecideNothing) {
    // Twice the same: the second.
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/a'") + rule("deny", "'read'", "'/a'"))),
                HasSubstr("t.toml:11:1: warning: the rule \"t.toml:11\" decides nothing\n  wherever it matches"));
    // One before another that is wider.
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/a/b'") + rule("deny", "'read'", "'/a/**'"))),
                HasSubstr("t.toml:7:1: warning: the rule \"t.toml:7\" decides nothing"));
    EXPECT_THAT(warned(denies(rule("allow", "'read'", "'/a/b'") + rule("deny", "'read'", "'/a/**'"))),
                HasSubstr("t.toml:7:1: warning: the rule \"t.toml:7\" decides nothing"));
    EXPECT_THAT(warned(allows(rule("allow", "'read'", "'/a/b'"))),
                HasSubstr("its domains allow by default, and no allow undoes a deny"));
    EXPECT_THAT(warned(allows("[[rule]]\ndeny = ['bpf']\n[[rule]]\ndeny = ['bpf', 'perf']\n")),
                HasSubstr("t.toml:7:1: warning: the rule"));
    EXPECT_THAT(warned(allows("[[rule]]\ndeny = ['capable']\n[[rule]]\ndeny = ['capable']\ncapabilities = ['kill']\n")),
                HasSubstr("t.toml:9:1: warning: the rule"));
    EXPECT_THAT(warned(allows("[[rule]]\ndeny = ['signal']\n[[rule]]\ndeny = ['signal']\npeers = ['d']\n")),
                HasSubstr("t.toml:9:1: warning: the rule"));
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/a'") + rule("audit", "'read'", "'/a'"))),
                HasSubstr("t.toml:11:1: warning: the rule"));
    // In one of two domains it does decide.
    EXPECT_EQ(warned(allows("[[domain]]\nname = 'e'\nenter = [{ exe = '/e' }]\ndefault = 'deny'\n" +
                            rule("allow", "'read'", "'/a'"))),
              "");
}

TEST(PolicyLint, AllowsThatADenyUndoes) {
    const auto said = warned(
        denies(rule("allow", "'read', 'write'", "'/etc/app/x', '/srv/**'") + rule("deny", "'write'", "'/etc/**'")));
    EXPECT_THAT(said, HasSubstr("t.toml:9:10: warning: \"/etc/app/x\" is allowed here in vain: write"));
    EXPECT_THAT(said, HasSubstr("the rule \"t.toml:11\" denies it (t.toml:11:1)"));
}

TEST(PolicyLint, PatternsThatNothingMeets) {
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/a/b', '/c'", "except = ['/a/**']"))),
                HasSubstr("t.toml:9:10: warning: \"/a/b\" matches nothing"));
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/a/*'", "except = ['/b/c']"))),
                HasSubstr("the exception \"/b/c\" takes nothing out"));
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/proc/self/mem'"))),
                HasSubstr("\"/proc/self\" is a symbolic link"));
    const LinkOf link_of = [](const std::string& path) {
        return path == "/lib" ? std::optional<std::string>("usr/lib") : std::nullopt;
    };
    EXPECT_THAT(warned(allows(rule("deny", "'read'", "'/lib/**'")), link_of),
                HasSubstr("t.toml:9:10: warning: \"/lib\" is a symbolic link, to \"usr/lib\""));
    // The link itself is a name too; what is executed is what is behind it.
    EXPECT_EQ(warned(allows(rule("deny", "'delete'", "'/lib'")), link_of), "");
    EXPECT_THAT(warned("format = 1\n[[domain]]\nname = 'd'\ndefault = 'deny'\nenter = [{ exe = '/lib' }]\n", link_of),
                HasSubstr("symbolic link"));
    EXPECT_THAT(warned(domain_d("root = 'own'") + rule("deny", "'read'", "'/etc/**'")),
                HasSubstr("\"overlay:/etc/**\""));
}

TEST(PolicyLint, DomainsAndWays) {
    EXPECT_THAT(warned("format = 1\n[[domain]]\nname = 'd'\ndefault = 'deny'\n"),
                HasSubstr("t.toml:2:1: warning: nothing enters the domain \"d\""));
    EXPECT_THAT(warned(allows("")), HasSubstr("nothing is refused in the domain \"d\""));
    EXPECT_THAT(
        warned("format = 1\n[[domain]]\nname = 'd'\ndefault = 'deny'\nenter = [{ exe = '/x', from = ['d'] }]\n"),
        HasSubstr("no process can get into the domain \"d\""));
    EXPECT_THAT(warned("format = 1\n[[domain]]\nname = 'd'\ndefault = 'deny'\nenter = [{ exe = '/x' },\n{ exe = '/x', "
                       "uid = 5 }]\n"),
                HasSubstr("t.toml:6:1: warning: nothing takes this way in"));
    EXPECT_EQ(warned("format = 1\n[[domain]]\nname = 'd'\ndefault = 'deny'\nenter = [{ exe = '/x', uid = 5 },\n{ exe = "
                     "'/x' }]\n"),
              "");
    EXPECT_THAT(warned(denies("[[rule]]\nname = 'x'\nallow = ['bpf']\n[[rule]]\nname = 'x'\nallow = ['perf']\n")),
                HasSubstr("another rule is called \"x\" too"));
}

}  // namespace bpfwarden::policy
