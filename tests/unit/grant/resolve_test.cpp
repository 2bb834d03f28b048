// SPDX-License-Identifier: Apache-2.0
#include "grant/resolve.hpp"

#include <gmock/gmock.h>

#include "grant/lookup.hpp"
#include "grants.hpp"

namespace bpfwarden::grant {

using ::testing::HasSubstr;
using ::testing::StartsWith;

static std::vector<std::string> written(const Resolved& grant, Dimension dimension) {
    std::vector<std::string> out;
    for (const auto& [value, origin] : grant.of(dimension).values)
        if (origin.written) out.push_back(value);
    return out;
}

TEST(Resolve, AbsentListsAllowNothingButWhatIsImplied) {
    const auto grant = resolved("format = 1");
    for (const auto dimension : all_dimensions)
        if (dimension != Dimension::commands) {
            EXPECT_TRUE(grant.of(dimension).values.empty()) << key_of(dimension);
        }
    EXPECT_FALSE(grant.of(Dimension::commands).contains("map_create"));
    EXPECT_TRUE(grant.of(Dimension::commands).contains("map_lookup_elem")) << "no privilege is asked for";
    EXPECT_FALSE(grant.subject);
    EXPECT_EQ(grant.name, "t");
}

TEST(Resolve, ProperNamesForOtherSpellings) {
    const auto grant = allowing("map_types = ['BPF_MAP_TYPE_HASH', 'LPM_TRIE']\ncapabilities = ['CAP_BPF']");
    EXPECT_EQ(written(grant, Dimension::map_types), (std::vector<std::string>{"hash", "lpm_trie"}));
    EXPECT_EQ(written(grant, Dimension::capabilities), std::vector<std::string>{"bpf"});
}

TEST(Resolve, AnyIsWhatIsKnownTodayAndSaysSo) {
    const auto grant = allowing("map_types = ['any', 'hash']\nkfuncs = ['any']\nverifier = ['any']");
    const auto& maps = grant.of(Dimension::map_types);
    EXPECT_TRUE(maps.any);
    EXPECT_TRUE(grant.covers_all(Dimension::map_types));
    EXPECT_EQ(maps.values.size(), kernel::Names::known().all(kernel::NameKind::map_type).size());
    EXPECT_EQ(maps.values.at("lpm_trie").via, "any");
    EXPECT_EQ(maps.values.at("hash").via, "") << "the entry itself tells more";
    EXPECT_NE(grant.kfunc("bpf_rcu_read_lock"), nullptr);
    EXPECT_TRUE(grant.covers_all(Dimension::kfuncs));
    EXPECT_TRUE(grant.covers_all(Dimension::verifier));
    EXPECT_FALSE(grant.covers_all(Dimension::helpers));
}

TEST(Resolve, AllNamesAreAsGoodAsAny) {
    std::string all;
    for (const auto& one : kernel::Names::known().all(kernel::NameKind::map_type)) all += "'" + one.name + "',";
    EXPECT_TRUE(allowing("map_types = [" + all + "]").covers_all(Dimension::map_types));
    EXPECT_TRUE(allowing("kfuncs = ['*']").covers_all(Dimension::kfuncs));
}

TEST(Resolve, KfuncsMayBeGlobs) {
    const auto grant = allowing("kfuncs = ['bpf_dynptr_*', 'bpf_task_acquire']");
    EXPECT_NE(grant.kfunc("bpf_dynptr_clone"), nullptr);
    EXPECT_NE(grant.kfunc("bpf_task_acquire"), nullptr);
    EXPECT_EQ(grant.kfunc("bpf_task_release"), nullptr);
    EXPECT_FALSE(grant.covers_all(Dimension::kfuncs));
}

TEST(Resolve, GroupsAreSpelledOut) {
    const auto grant = resolved(R"(format = 1
[groups]
inner = ["queue"]
mine = ["stack", "@inner", "@sockmap"]
nets = ["veth*", "lo"]
[allow]
map_types = ["@mine"]
[targets]
interfaces = ["@nets"]
)");
    EXPECT_EQ(written(grant, Dimension::map_types),
              (std::vector<std::string>{"queue", "sk_storage", "sockhash", "sockmap", "stack"}));
    EXPECT_EQ(grant.of(Dimension::map_types).values.at("queue").via, "@mine");
    EXPECT_EQ(grant.of(Dimension::map_types).values.at("queue").at.line, 7U) << "the place of use";
    ASSERT_EQ(grant.of(Target::interfaces).size(), 1U);
    EXPECT_EQ(grant.of(Target::interfaces)[0].patterns[0].glob, "veth*");
    EXPECT_EQ(grant.of(Target::interfaces)[0].patterns[1].via, "@nets");
}

TEST(Resolve, GroupMistakes) {
    EXPECT_THAT(message("format = 1\n[allow]\nhelpers = ['@nett']"),
                StartsWith("3:12: error: there is no group \"@nett\" of helpers | known here: @base, "));
    EXPECT_THAT(message("format = 1\n[allow]\nhelpers = ['@xdp']"), HasSubstr("@xdp stands for "));
    EXPECT_THAT(message("format = 1\n[targets]\ncgroups = ['@x']"),
                StartsWith("3:12: error: there is no group \"@x\" of cgroups | known here: none"));
    EXPECT_THAT(message("format = 1\n[identity]\nsigners = ['@x']"), HasSubstr("no group \"@x\" of signers"));
    EXPECT_THAT(message("format = 1\n[groups]\na = ['@b']\nb = ['@a']\n[allow]\nkfuncs = ['@a']"),
                StartsWith("4:6: error: the group @a contains itself"));
    EXPECT_THAT(message("format = 1\n[groups]\nbase = []\n[allow]\nkfuncs = ['@base']"),
                StartsWith("3:1: error: @base is a built-in group already"));
    EXPECT_THAT(message("format = 1\n[groups]\nlonely = ['hash']"),
                StartsWith("3:1: warning: the group lonely is not used"));
    // Used twice, wrong once.
    EXPECT_THAT(message("format = 1\n[groups]\ng = ['x']\nh = ['@g']\n[allow]\nhelpers = ['@g', '@h']"),
                StartsWith("3:6: error: \"x\" is no helper"));
}

TEST(Resolve, GroupsThatDoubleAtEachLevelAreBounded) {
    std::string text = "format = 1\n[groups]\ng0 = ['hash']\n";
    for (int i = 1; i <= 60; ++i) {
        const auto below = std::to_string(i - 1);
        text += "g" + std::to_string(i) + " = ['@g" + below + "', '@g" + below + "x', 'array']\n";
        text += "g" + std::to_string(i) + "x = ['@g" + below + "', 'array']\n";
    }
    text += "g0x = ['hash']\n[allow]\nmap_types = ['@g60']\n";
    const auto said = messages(text);
    ASSERT_FALSE(said.empty());
    EXPECT_THAT(said, ::testing::Contains(HasSubstr("groups are used in groups too often")));
}

TEST(Resolve, UnknownNames) {
    EXPECT_THAT(message("format = 1\n[allow]\nmap_types = ['lpm_tree']"),
                StartsWith("3:14: error: \"lpm_tree\" is no map type | this release knows the "));
    EXPECT_THAT(message("format = 1\n[allow]\nmap_types = ['lpm_tree']"), HasSubstr("did you mean \"lpm_trie\"?"));
    EXPECT_THAT(message("format = 1\n[allow]\nmap_types = ['xdp']"),
                HasSubstr("\"xdp\" is a program type: it belongs into program_types"));
    EXPECT_THAT(message("format = 1\n[allow]\ncapabilities = ['sys_ptrace']"),
                HasSubstr("a grant cannot hold the capability \"sys_ptrace\" | no bpf() operation asks for it"));
    EXPECT_THAT(message("format = 1\n[allow]\ncapabilities = ['sys_adm']"), HasSubstr("did you mean \"sys_admin\"?"));
    EXPECT_THAT(message("format = 1\n[allow]\nverifier = ['loops']"), HasSubstr("there are bpf2bpf_calls, "));
    EXPECT_THAT(message("format = 1\n[allow]\nkfuncs = ['a b']"), HasSubstr("\"a b\" is no kfunc"));
    EXPECT_THAT(message("format = 1\n[allow]\ncommands = ['enable_stats']"),
                StartsWith("3:13: error: enable_stats is never given to a grantee | it slows down"));
}

// ---- includes

TEST(Include, UnitesWhatIsAllowed) {
    const auto grant = resolved("format = 1\ninclude = ['b']\n[allow]\nmap_types = ['hash']\n",
                                {{"b", "format = 1\n[allow]\nmap_types = ['queue']\nprogram_types = ['xdp']\n"}});
    EXPECT_EQ(written(grant, Dimension::map_types), (std::vector<std::string>{"hash", "queue"}));
    EXPECT_EQ(written(grant, Dimension::program_types), std::vector<std::string>{"xdp"});
    EXPECT_EQ(grant.of(Dimension::map_types).values.at("queue").at.file, "b");
    EXPECT_EQ(grant.files, (std::vector<std::string>{"t.toml", "b"}));
}

TEST(Include, KeepsWhoeverNarrows) {
    const std::string other = R"(format = 1
[allow]
commands = ["prog_load", "link_create"]
[targets]
interfaces = ["veth*"]
cgroups = ["/a/**"]
tracepoints = ["sched/*"]
[identity]
signers = ["release"]
[limits]
programs = 4
maps = 9
[session]
lifetime = "1h"
hand_out = "link"
on_close = "keep"
not_revocable = true
)";
    const auto grant = resolved(R"(format = 1
include = ["b"]
[allow]
program_types = ["xdp"]
commands = ["map_create", "prog_load"]
[targets]
interfaces = ["*0"]
tracepoints = ["syscalls/*"]
[limits]
programs = 16
maps = 2
[session]
lifetime = "8h"
hand_out = "program"
)",
                                {{"b", other}});
    EXPECT_TRUE(grant.of(Dimension::commands).contains("prog_load"));
    EXPECT_FALSE(grant.of(Dimension::commands).contains("link_create")) << "only in one of the two";
    EXPECT_EQ(grant.of(Target::interfaces).size(), 2U) << "both must match";
    EXPECT_EQ(grant.of(Target::cgroups).size(), 1U);
    ASSERT_EQ(grant.of(Target::tracepoints).size(), 1U) << "these allow, so they unite";
    EXPECT_EQ(grant.of(Target::tracepoints)[0].patterns.size(), 2U);
    EXPECT_EQ(grant.signers.size(), 1U);
    EXPECT_EQ(grant.of(Limit::programs)->value, 4U);
    EXPECT_EQ(grant.of(Limit::maps)->value, 2U);
    EXPECT_EQ(grant.lifetime_ms->value, 3'600'000U);
    EXPECT_EQ(grant.hand_out->value, HandOut::link);
    EXPECT_FALSE(grant.on_close);
    EXPECT_FALSE(grant.not_revocable);
}

TEST(Include, SaysWhatItDoesNotTakeOver) {
    const auto said =
        messages("format = 1\ninclude = ['b']\n",
                 {{"b", "format = 1\n[session]\nhand_out = 'program'\non_close = 'keep'\nnot_revocable = true\n"}});
    ASSERT_EQ(said.size(), 3U);
    EXPECT_THAT(said[0], StartsWith("3:1: warning: hand_out = \"program\" of an included file is not taken over"));
}

// Who may open a grant, and which dangers its author knows of, is read in the file itself.
TEST(Include, NeverBringsSubjectOrAcknowledgements) {
    const std::string other =
        "format = 1\nsubject = [ { user = 'x' } ]\ndangerous = ['kernel_read']\n[allow]\n"
        "program_types = ['tracepoint']\ncapabilities = ['bpf', 'perfmon']\n"
        "[targets]\ntracepoints = ['any']\n";
    EXPECT_FALSE(resolved("format = 1\ninclude = ['b']\n", {{"b", other}}).subject);
    EXPECT_THAT(message("format = 1\ninclude = ['b']\n", {{"b", other}}),
                HasSubstr("needs dangerous = [\"kernel_read\"]"));
    EXPECT_TRUE(messages("format = 1\ninclude = ['b']\ndangerous = ['kernel_read']", {{"b", other}}).empty());
}

TEST(Include, GroupsStayInTheirFile) {
    EXPECT_THAT(message("format = 1\ninclude = ['b']\n[allow]\nkfuncs = ['@g']\n",
                        {{"b", "format = 1\n[groups]\ng = ['x']\n[allow]\nkfuncs = ['@g']\n"}}),
                HasSubstr("there is no group \"@g\" of kfuncs"));
}

TEST(Include, Mistakes) {
    EXPECT_THAT(message("format = 1\ninclude = ['gone']"),
                StartsWith("2:12: error: cannot include \"gone\": there is no such grant | the map has none"));
    EXPECT_THAT(message("format = 1\ninclude = ['t.toml']", {{"t.toml", "format = 1"}}),
                StartsWith("2:12: error: \"t.toml\" includes itself"));
    EXPECT_THAT(message("format = 1\ninclude = ['b']",
                        {{"b", "format = 1\ninclude = ['c']"}, {"c", "format = 1\ninclude = ['b']"}}),
                StartsWith("2:12: error: \"b\" includes itself"));
    EXPECT_THAT(message("format = 1\ninclude = ['b']", {{"b", "not toml"}}), HasSubstr("error"));
}

TEST(Include, OneFileByTwoWaysIsRead) {
    const auto grant =
        resolved("format = 1\ninclude = ['b', 'c']", {{"b", "format = 1\ninclude = ['d']"},
                                                      {"c", "format = 1\ninclude = ['d']"},
                                                      {"d", "format = 1\n[allow]\nmap_types = ['hash']"}});
    EXPECT_EQ(grant.files.size(), 4U);
}

TEST(Include, ChainsAreBounded) {
    std::map<std::string, std::string> files;
    for (int i = 0; i < 100; ++i)
        files["f" + std::to_string(i)] = "format = 1\ninclude = ['f" + std::to_string(i + 1) + "']\n";
    EXPECT_THAT(message("format = 1\ninclude = ['f0']", files), HasSubstr("more than 32 files in one grant"));
}

}  // namespace bpfwarden::grant
