// SPDX-License-Identifier: Apache-2.0
#include "grant/parse.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Parse, ReadsEveryKey) {
    Diagnostics diagnostics;
    const auto grant = parse(R"(format = 1
name = "agent-1.x"
description = "All of it"
include = ["other", "./more.toml"]
subject = [ { user = "monitor" }, { cgroup = "/system.slice/*", exe = "/usr/bin/agent", uid = 7, gid = 8, group = "g" },
            { exe_sha256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855" } ]
dangerous = ["kernel_read"]
[groups]
mine = ["hash"]
[allow]
program_types = ["xdp"]
map_types = ["@mine"]
attach_types = []
commands = ["any"]
helpers = ["@base"]
kfuncs = ["bpf_dynptr_*"]
capabilities = ["bpf"]
verifier = ["bpf2bpf_calls"]
[targets]
cgroups = ["/user.slice/**"]
interfaces = ["veth*"]
tracepoints = ["sched/*", "sched_switch"]
functions = ["do_unlinkat"]
uprobes = ["/usr/bin/bash:readline"]
perf_events = ["software/*"]
[identity]
programs = [ { sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" } ]
sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
signers = ["release"]
[limits]
programs = 16
maps = 0
links = 3
map_memory = "64MiB"
instructions = 100000
loads_per_minute = 60
[session]
lifetime = "1h30m"
hand_out = "link"
on_close = "keep"
not_revocable = true
)",
                             "t.toml", diagnostics);
    ASSERT_TRUE(grant);
    EXPECT_TRUE(diagnostics.all().empty()) << diagnostics.all().front().text();
    EXPECT_EQ(grant->name->text, "agent-1.x");
    EXPECT_EQ(grant->description->text, "All of it");
    EXPECT_EQ(grant->includes.size(), 2U);
    ASSERT_EQ(grant->subject->lines.size(), 3U);
    EXPECT_EQ(grant->subject->lines[1].conditions.size(), 5U);
    EXPECT_EQ(grant->subject->lines[2].conditions[0].value[0], 'e') << "digests are lower case";
    EXPECT_EQ(grant->groups.at("mine").entries[0].text, "hash");
    for (const auto dimension : all_dimensions) EXPECT_TRUE(grant->allow[index_of(dimension)]) << key_of(dimension);
    for (const auto target : all_targets) EXPECT_TRUE(grant->targets[index_of(target)]) << key_of(target);
    for (const auto limit : all_limits) EXPECT_TRUE(grant->limits[index_of(limit)]) << key_of(limit);
    EXPECT_EQ(grant->limits[index_of(Limit::map_memory)]->value, 64ULL << 20);
    EXPECT_EQ(grant->digests->entries.size(), 2U);
    EXPECT_EQ(grant->signers->entries.size(), 1U);
    EXPECT_EQ(grant->lifetime_ms->value, 5'400'000U);
    EXPECT_EQ(grant->hand_out->value, HandOut::link);
    EXPECT_EQ(grant->on_close->value, OnClose::keep);
    EXPECT_TRUE(grant->not_revocable->value);
}

TEST(Parse, ValuesKnowWhereTheyStand) {
    Diagnostics diagnostics;
    const auto grant = parse("format = 1\n\n[allow]\n  map_types = [ \"hash\",\n    \"array\" ]\n", "f", diagnostics);
    const auto& list = *grant->allow[index_of(Dimension::map_types)];
    EXPECT_EQ(list.at, (Position{"f", 4, 3}));
    EXPECT_EQ(list.entries[0].at, (Position{"f", 4, 17}));
    EXPECT_EQ(list.entries[1].at, (Position{"f", 5, 5}));
    EXPECT_EQ(grant->allow_at.line, 3U);
}

TEST(Parse, NamesComeFromTheFileOtherwise) {
    EXPECT_EQ(default_name("/etc/bpfwarden/grants.d/web.toml"), "web");
    EXPECT_EQ(default_name("<stdin>"), "<stdin>");
    EXPECT_TRUE(valid_name("a-1_2.x"));
    for (const char* bad : {"", "-a", ".a", "A", "a/b", "a b", "é"}) EXPECT_FALSE(valid_name(bad)) << bad;
    EXPECT_FALSE(valid_name(std::string(65, 'a')));
}

struct Case {
    const char *text, *says;
};
class Wrong : public ::testing::TestWithParam<Case> {};

// One line a kind of mistake; `format = 1` is put before each.
TEST_P(Wrong, IsSaidOnceWithItsPlace) {
    const auto said = messages("format = 1\n" + std::string(GetParam().text));
    ASSERT_EQ(said.size(), 1U) << ::testing::PrintToString(said);
    EXPECT_EQ(said[0].substr(0, std::string_view(GetParam().says).size()), GetParam().says) << said[0];
}

INSTANTIATE_TEST_SUITE_P(
    Keys, Wrong,
    ::testing::Values(Case{"nam = 'x'", "2:1: error: unknown key \"nam\" | known here: format, name,"},
                      Case{"[allow]\nprogram_type = []",
                           "3:1: error: unknown key \"program_type\" in [allow] | known here: program_types,"},
                      Case{"map_types = []", "2:1: error: unknown key \"map_types\" | known here: format"},
                      Case{"[limits]\nlifetime = '8h'", "3:1: error: unknown key \"lifetime\" in [limits]"},
                      Case{"deny = []",
                           "2:1: error: unknown key \"deny\" | a grant allows what it lists and nothing else"},
                      Case{"subject = [ { unit = 'x.service' } ]",
                           "2:15: error: unknown key \"unit\" in a subject line | a unit is its control group"},
                      Case{"subject = [ { usr = 'x' } ]", "2:15: error: unknown key \"usr\" in a subject line"},
                      Case{"allow = 3", "2:9: error: [allow] must be a table, not a number"},
                      Case{"groups = 3", "2:10: error: [groups] must be a table, not a number"},
                      Case{"[identity]\nprograms = [ { sha512 = 'x', sha256 = "
                           "'0000000000000000000000000000000000000000000000000000000000000000' } ]",
                           "3:16: error: unknown key \"sha512\" in identity.programs"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Wrong,
    ::testing::Values(
        Case{"name = 'Über'", "2:8: error: \"\\xc3\\x9cber\" cannot be the name of a grant"},
        Case{"name = 3", "2:8: error: name must be a string, not a number"},
        Case{"description = ''", "2:15: error: an empty string means nothing here"},
        Case{"description = 1979-05-27", "2:15: error: description must be a string, not a date"},
        Case{"dangerous = 'kernel_read'",
             "2:13: error: dangerous must be a list of strings, not a string | write dangerous = "
             "[\"kernel_read\"]"},
        Case{"dangerous = true", "2:13: error: dangerous must be a list of strings, not true or false"},
        Case{"dangerous = [1]", "2:14: error: dangerous is a list of strings, not a number"},
        Case{"subject = { user = 'a' }", "2:11: error: subject must be a list of tables, not a table"},
        Case{"subject = 'a'", "2:11: error: subject must be a list of tables, not a string"},
        Case{"subject = ['a']", "2:12: error: subject is a list of tables, not a string"},
        Case{"subject = [ {} ]", "2:13: error: an empty subject line would match everybody"},
        Case{"subject = [ { uid = -1 } ]", "2:21: error: -1 is no uid"},
        Case{"subject = [ { gid = 4294967295 } ]", "2:21: error: 4294967295 is no gid"},
        Case{"subject = [ { uid = '7' } ]", "2:21: error: uid must be a number, not a string"},
        Case{"subject = [ { user = 'a:b' } ]", "2:22: error: \"a:b\" is no user name"},
        Case{"subject = [ { exe = 'agent' } ]", "2:21: error: exe must start with \"/\""},
        Case{"subject = [ { cgroup = 'x' } ]", "2:24: error: cgroup must start with \"/\""},
        Case{"subject = [ { exe_sha256 = 'x' } ]", "2:28: error: \"x\" is no SHA-256 digest"},
        Case{"[groups]\n\"a b\" = []", "3:1: error: \"a b\" cannot be the name of a group"},
        Case{"[identity]\nsha256 = ['zz']", "3:11: error: \"zz\" is no SHA-256 digest"},
        Case{"[identity]\nprograms = [ {} ]", "3:14: error: sha256 is missing"},
        Case{"[identity]\nprograms = ['x']", "3:13: error: programs is a list of tables"},
        Case{"[identity]\nprograms = 1", "3:12: error: programs must be a list of tables, not a number"},
        Case{"[limits]\nprograms = -1", "3:12: error: programs cannot be negative"},
        Case{"[limits]\nprograms = '3'", "3:12: error: programs must be a number, not a string"},
        Case{"[limits]\nmap_memory = 4096", "3:14: error: map_memory has no unit"},
        Case{"[limits]\nmap_memory = '64MB'", "3:14: error: \"64MB\" is not a size"},
        Case{"[limits]\nmap_memory = true", "3:14: error: map_memory must be a size like \"64MiB\", not true or false"},
        Case{"[session]\nlifetime = 8", "3:12: error: lifetime must be a length of time like \"8h\", not a number"},
        Case{"[session]\nlifetime = '8'", "3:12: error: \"8\" is not a length of time"},
        Case{"[session]\nlifetime = '0s'", "3:12: error: a session with no lifetime could never be used"},
        Case{"[session]\nhand_out = 'links'",
             "3:12: error: hand_out cannot be \"links\" | it is \"link\" or \"program\" | did you "
             "mean \"link\"?"},
        Case{"[session]\non_close = 'keeep'", "3:12: error: on_close cannot be \"keeep\""},
        Case{"[session]\nnot_revocable = 1", "3:17: error: not_revocable must be true or false, not a number"}));

INSTANTIATE_TEST_SUITE_P(
    Targets, Wrong,
    ::testing::Values(
        Case{"[targets]\ncgroups = ['user.slice']", "3:12: error: \"user.slice\" is no path of a control group"},
        Case{"[targets]\nuprobes = ['bash:readline']", "3:12: error: \"bash:readline\" is no place for a uprobe"},
        Case{"[targets]\nuprobes = ['/bin/bash']", "3:12: error: \"/bin/bash\" is no place for a uprobe"},
        Case{"[targets]\nperf_events = ['cycles']", "3:16: error: \"cycles\" is no perf event"},
        Case{"[targets]\ninterfaces = ['a/b']", "3:15: error: \"a/b\" is no name of an interface"}));

TEST(Parse, FormatIsAskedFor) {
    EXPECT_THAT(message(""), StartsWith("1:1: error: format is missing"));
    EXPECT_THAT(message("format = 2"), StartsWith("1:10: error: format 2 is not known | this release reads format 1"));
    EXPECT_THAT(message("format = '1'"), StartsWith("1:10: error: format must be the number 1, not a string"));
}

TEST(Parse, ReportsAllMistakesOfAFile) {
    const auto said = messages("format = 1\na = 1\nb = 2\n[allow]\nc = 3\nhelpers = [1, 'nothing']\n");
    EXPECT_EQ(said.size(), 5U) << ::testing::PrintToString(said);
}

TEST(Parse, CountsWhatItDoesNotPrint) {
    std::string text = "format = 1\n";
    for (int i = 0; i < 50; ++i) text += "k" + std::to_string(i) + " = 1\n";
    const auto result = checked(text);
    EXPECT_EQ(result.diagnostics.errors(), 50U);
    EXPECT_EQ(result.diagnostics.all().size(), Diagnostics::limit);
}

TEST(Parse, RefusesListsAndStringsWithoutBound) {
    std::string list = "format = 1\n[targets]\ninterfaces = [";
    for (int i = 0; i < 5000; ++i) list += "'i" + std::to_string(i) + "',";
    EXPECT_THAT(messages(list + "]\n")[0], HasSubstr("more than 4096 entries in interfaces"));
    EXPECT_THAT(message("format = 1\ndescription = '" + std::string(5000, 'x') + "'"),
                HasSubstr("a string of 5000 bytes cannot stand here"));
    EXPECT_THAT(message("format = 1\ndescription = \"a\\u0000b\""), HasSubstr("cannot stand here"));
}

TEST(Parse, WarnsOfAnEntryThatIsThereTwice) {
    EXPECT_THAT(messages("format = 1\n[allow]\nmap_types = ['hash', 'hash']\ncapabilities = ['bpf']\n"),
                ElementsAre(HasSubstr("3:22: warning: \"hash\" is in map_types twice")));
}

}  // namespace bpfwarden::grant
