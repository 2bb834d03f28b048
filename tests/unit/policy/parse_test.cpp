// SPDX-License-Identifier: Apache-2.0
// Everything that a policy can have wrong, with its place, its reason and what to write instead.
#include <gtest/gtest.h>

#include "policies.hpp"

namespace bpfwarden::policy {

struct Wrong {
    std::string text;
    std::string said;  // the beginning of the first problem
    std::string also;  // somewhere in it
};

static const std::string head = "format = 1\n";
static const std::string domain = "format = 1\n[[domain]]\nname = 'd'\n";  // 3 lines
static std::string rule(const std::string& text) { return domain + "[[rule]]\n" + text + "\n"; }

TEST(Parse, TellsWhatIsWrongAndWhere) {
    const std::vector<Wrong> all{
        {"", "t.toml:1:1: error: format is missing", "format = 1"},
        {"format = 2", "t.toml:1:10: error: format 2 is not known", "newer bpfwarden"},
        {"format = '1'", "t.toml:1:10: error: format must be the number 1, not a string", ""},
        {"format = ", "t.toml:1:", "a policy is a TOML 1.0 file"},
        {head + "name = 'A b'", "t.toml:2:8: error: \"A b\" cannot be the name of a policy", "a-z, 0-9"},
        {head + "mode = 'enforced'", "t.toml:2:8: error: mode cannot be \"enforced\"", "did you mean \"enforce\"?"},
        {head + "on_loss = 'refuse'", "t.toml:2:11: error: on_loss cannot be \"refuse\"", "\"count\" or \"deny\""},
        {head + "rules = []", "t.toml:2:1: error: unknown key \"rules\"", "[[rule]]"},
        {head + "nmae = 'x'", "t.toml:2:1: error: unknown key \"nmae\"", "did you mean name?"},
        {head + "secure_exec = true", "t.toml:2:1: error: unknown key \"secure_exec\"", "belongs into [[domain]]"},
        {head + "[domain]\nname = 'd'", "t.toml:2:", "write [[domain]] with two brackets"},
        {head + "domain = ['d']", "t.toml:2:11: error: domain is a list of tables, not a string", ""},
        {head + "[[domain]]\n", "t.toml:2:1: error: this domain has no name", "name = \"NAME\""},
        {head + "[[domain]]\nname = 'D'", "t.toml:3:8: error: \"D\" cannot be the name of a domain", ""},
        {head + "[[domain]]\nname = 'unconfined'", "t.toml:3:8: error: the domain \"unconfined\" is defined twice",
         "stands for every"},
        {domain + "[[domain]]\nname = 'd'", "t.toml:5:8: error: the domain \"d\" is defined twice", "t.toml:2:1"},
        {domain + "default = 'none'", "t.toml:4:11: error: default cannot be \"none\"", "\"allow\" or \"deny\""},
        {domain + "root = 'mine'", "t.toml:4:8: error: root cannot be \"mine\"", "own"},
        {domain + "secure_exec = 1", "t.toml:4:15: error: secure_exec must be true or false, not a number", ""},
        {domain + "enforce = true", "t.toml:4:1: error: unknown key \"enforce\" in a [[domain]]", "mode = \"enforce\""},
        {domain + "enter = '/x'", "t.toml:4:9: error: enter must be a list of tables, not a string", ""},
        {domain + "enter = { exe = '/x' }", "t.toml:4:9: error: enter must be a list of tables, not a table",
         "enter = [ {"},
        {domain + "enter = [{}]", "t.toml:4:10: error: an empty way in would take every process", ""},
        {domain + "enter = [{ from = ['d'] }]", "t.toml:4:10: error: `from` alone", ""},
        {domain + "enter = [{ exe = '/x', from = [] }]", "t.toml:4:24: error: an empty list of domains", ""},
        {domain + "enter = [{ exe = '/x', from = ['e'] }]", "t.toml:4:32: error: there is no domain \"e\"",
         "known here: unconfined, d"},
        {domain + "enter = [{ pid = 1 }]", "t.toml:4:12: error: unknown key \"pid\" in a way in", "reused"},
        {domain + "enter = [{ exe = 'x' }]", "t.toml:4:18: error: the pattern \"x\" does not begin with", ""},
        {domain + "enter = [{ cgroup = 'tmpfs:/x' }]", "t.toml:4:21: error: a control group's path begins with", ""},
        {domain + "enter = [{ uid = 'nobody-here' }]", "t.toml:4:18: error: there is no user \"nobody-here\"",
         "\"1000-1999\""},
        {domain + "enter = [{ gid = 'nobody-here' }]", "t.toml:4:18: error: there is no group", ""},
        {domain + "enter = [{ uid = 4294967295 }]", "t.toml:4:18: error: 4294967295 is no uid", "4294967294"},
        {domain + "enter = [{ uid = '9-5' }]", "t.toml:4:18: error: the range \"9-5\" ends before it begins", ""},
        {domain + "enter = [{ uid = true }]", "t.toml:4:18: error: uid must be a number, a name or a range", ""},
        {domain + "enter = [{ userns = 'host' }]", "t.toml:4:21: error: userns cannot be \"host\"", "init"},
        {domain + "enter = [{ identity = { device = '8:1', inode = 3 } }]", "t.toml:4:23: error: generation is missing",
         "bpfwarden policy identity"},
        {domain + "enter = [{ identity = { device = '81', inode = 3, generation = 0 } }]",
         "t.toml:4:34: error: \"81\" is no device", "MAJ:MIN"},
        {domain + "enter = [{ identity = { device = '8:1', inode = -3, generation = 0 } }]",
         "t.toml:4:49: error: -3 is no inode", ""},
        {domain + "enter = [{ identity = 'x' }]", "t.toml:4:23: error: a file's identity is a table", ""},
        {head + "[[rule]]\nallow = ['bpf']", "t.toml:2:1: error: this rule is about no domain", "domains = "},
        {rule("paths = ['/a']"), "t.toml:4:1: error: this rule has none of allow, deny and audit", ""},
        {rule("allow = ['read']\ndeny = ['read']\npaths = ['/a']"),
         "t.toml:6:1: error: a rule has one of allow, deny and audit", "two rules"},
        {rule("allow = ['raed']\npaths = ['/a']"), "t.toml:5:10: error: there is no operation \"raed\"",
         "did you mean \"read\"?"},
        {rule("allow = ['@wirte']\npaths = ['/a']"), "t.toml:5:10: error: there is no operation \"@wirte\"",
         "did you mean \"@write\"?"},
        {rule("allow = ['net']"), "t.toml:5:10: error: there is no operation \"net\"", "@net"},
        {rule("allow = 'read'\npaths = ['/a']"), "t.toml:5:9: error: allow must be a list of strings",
         "allow = [\"read\"]"},
        {rule("allow = []\npaths = ['/a']"), "t.toml:5:1: error: an empty list of operations allows nothing", ""},
        {rule("allow = ['read']"), "t.toml:5:10: error: \"read\" needs to be told on which files",
         "file_systems = [\"*\"]"},
        {rule("allow = ['@all']"), "t.toml:5:10: error: @all is all operations on one kind of object", ""},
        {rule("allow = ['signal']\npaths = ['/a']"), "t.toml:5:10: error: \"signal\" does not go with paths",
         "its object is peers"},
        {rule("allow = ['bpf']\npeers = ['d']"), "t.toml:5:10: error: \"bpf\" does not go with peers", ""},
        {rule("allow = ['read']\npaths = ['/a']\npeers = ['d']"),
         "t.toml:4:1: error: a rule is about one kind of object", "two rules"},
        {rule("allow = ['read']\npaths = []"), "t.toml:6:1: error: an empty list of paths matches nothing", ""},
        {rule("allow = ['read']\nfile_systems = ['tmpfs']\nexcept = ['/a']"),
         "t.toml:7:11: error: `except` takes names out of `paths`", ""},
        {rule("allow = ['read']\nfile_systems = ['a/b']"), "t.toml:6:17: error: \"a/b\" is no type of a file system",
         "/proc/filesystems"},
        {rule("allow = ['read']\nfile_systems = ['**']"), "t.toml:6:17: error: \"**\" is no type", "\"*\""},
        {rule("allow = ['read']\npath = ['/a']"), "t.toml:6:1: error: unknown key \"path\" in a [[rule]]",
         "it is a list: paths"},
        {rule("allow = ['read']\npaths = ['/a']\ndomains = ['e']"), "t.toml:7:12: error: there is no domain \"e\"",
         "known here: d"},
        {rule("allow = ['read']\npaths = ['/a']\ndomains = ['unconfined']"),
         "t.toml:7:12: error: no rule is about the unconfined domain", ""},
        {rule("allow = ['read']\npaths = ['/a']\ndomains = []"),
         "t.toml:7:1: error: an empty list of domains makes a rule about nothing", ""},
        {rule("allow = ['read']\npaths = ['/a']\nmode = 'no'"), "t.toml:7:8: error: mode cannot be \"no\"", ""},
        {rule("allow = ['signal']\npeers = ['e']"), "t.toml:6:10: error: there is no domain \"e\"", "unconfined, d"},
        {rule("allow = ['signal']\npeers = []"), "t.toml:6:1: error: an empty list of peers", ""},
        {rule("allow = ['capable']\ncapabilities = ['net_amdin']"),
         "t.toml:6:17: error: there is no capability \"net_amdin\"", "did you mean \"net_admin\"?"},
        {rule("allow = ['capable']\ncapabilities = []"), "t.toml:6:1: error: an empty list of capabilities", ""},
        {rule("allow = ['bind']\nnet = [{}]"), "t.toml:6:8: error: an empty entry of `net`", ""},
        {rule("allow = ['bind']\nnet = []"), "t.toml:6:1: error: an empty list of addresses", ""},
        {rule("allow = ['bind']\nnet = [{ ports = 80 }]"), "t.toml:6:10: error: unknown key \"ports\" in net",
         "it is called port"},
        {rule("allow = ['bind']\nnet = [{ protocol = 'tcp' }]"), "t.toml:6:10: error: unknown key \"protocol\"",
         "no hook tells"},
        {rule("allow = ['bind']\nnet = [{ family = 'inet5' }]"),
         "t.toml:6:19: error: there is no address family \"inet5\"", "did you mean"},
        {rule("allow = ['bind']\nnet = [{ address = '10.0.0.1/8' }]"),
         "t.toml:6:20: error: \"10.0.0.1/8\" is no address or network", "bits set behind the first 8"},
        {rule("allow = ['bind']\nnet = [{ address = '10.0.0.0/33' }]"), "t.toml:6:20: error:", "from 0 to 32"},
        {rule("allow = ['bind']\nnet = [{ address = 'localhost' }]"), "t.toml:6:20: error: \"localhost\" is no address",
         "192.0.2.1"},
        {rule("allow = ['bind']\nnet = [{ address = '::ffff:10.0.0.0/104' }]"),
         "t.toml:6:20: error:", "IPv4 address in another form"},
        {rule("allow = ['bind']\nnet = [{ family = 'inet6', address = '10.0.0.1' }]"),
         "t.toml:6:8: error: the address is of family inet, not inet6", ""},
        {rule("allow = ['bind']\nnet = [{ family = 'unix', port = 1 }]"),
         "t.toml:6:8: error: the family unix has no ports", ""},
        {rule("allow = ['bind']\nnet = [{ port = 70000 }]"), "t.toml:6:17: error: 70000 is no port", "65535"},
        {rule("allow = ['bind']\nnet = [{ port = '9-5' }]"), "t.toml:6:17: error: \"9-5\" is no port or range", ""},
        {rule("allow = ['bind']\nnet = [{ port = [80, 'http'] }]"), "t.toml:6:22: error: \"http\" is no port", ""},
        {rule("allow = ['bind']\nnet = [{ port = [] }]"), "t.toml:6:17: error: an empty list of ports", ""},
        {rule("allow = ['bind']\nnet = [{ port = true }]"), "t.toml:6:17: error: a port cannot be true or false", ""},
        {rule("name = '" + std::string(65, 'x') + "'\nallow = ['bpf']"),
         "t.toml:5:8: error: a rule's name is at most 64 bytes", ""},
    };
    for (const auto& [text, said, also] : all) {
        const auto got = problems(text);
        EXPECT_TRUE(got.starts_with(said)) << text << "\nwas to say: " << said << "\nsaid: " << got;
        EXPECT_NE(got.find(also), std::string::npos) << text << "\nwas to say: " << also << "\nsaid: " << got;
        EXPECT_NE(got.find(" error: "), std::string::npos) << text;
    }
}

TEST(Parse, PatternsAreRefusedWithAdvice) {
    const std::vector<std::pair<std::string, std::string>> all{
        {"etc/passwd", "/**/NAME"},
        {"~/x", "the full path"},
        {"/a/", "does not end in"},
        {"/a//b", "empty name"},
        {"//", "does not end in"},
        {"/a/./b", "no name of a file"},
        {"/a/../b", "without links"},
        {"/a**", "stands for whole names"},
        {"/**.log", "stands for whole names"},
        {"/a/b**c/d", "a part of one in"},
        {"/[a", "\\["},
        {"/[]", "never closed"},
        {"/[a/b]", "never closed"},
        {"/[z-a]", "ends before it begins"},
        {"/[ä]", "{ä,ö}"},
        {"/{a,b", "\\{"},
        {"/a}", "\\}"},
        {"/a\\", "\\\\"},
        {"/a\\/b", "no name has"},
        {"/{a,b/}", "the alternative \\\"/b/\\\""},
        {"**:/a", "*:/…"},
        {":/a", "does not begin with"},
        {"/" + std::string(256, 'n'), "at most 255 bytes"},
        {"/" + std::string(256, '?'), "at most 255 bytes"},
        {"/{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "1024"},
    };
    for (const auto& [pattern, also] : all) {
        const auto got = problems(rule("allow = ['read']\npaths = ['/ok', '" + pattern + "']"));
        EXPECT_TRUE(got.starts_with("t.toml:6:17: error: ")) << pattern << ": " << got;
        std::string wanted = also;
        if (const auto at = wanted.find("\\\""); at != std::string::npos) wanted = "the alternative";
        EXPECT_NE(got.find(wanted), std::string::npos) << pattern << ": " << got;
    }
    std::string deep;
    for (int i = 0; i < 257; ++i) deep += "/d";
    EXPECT_NE(problems(rule("allow = ['read']\npaths = ['" + deep + "']")).find("256 directories"), std::string::npos);
    EXPECT_EQ(problems(rule("allow = ['read']\npaths = ['" + deep.substr(2) + "']")), "");
}

TEST(Parse, ReadsEveryKey) {
    const auto all = parsed(R"(
format = 1
name = "web"
description = "a text"
mode = "enforce"
on_loss = "deny"
[[domain]]
name = "a"
default = "deny"
mode = "audit"
secure_exec = false
root = "own"
enter = [ { exe = "/usr/bin/{a,b}", identity = { device = "8:1", inode = 12, generation = 7 }, cgroup = "/x/**", uid = "www-data", gid = "4-9", userns = "other", from = ["unconfined", "a"] }, { uid = 5, gid = "adm" } ]
[[rule]]
name = "first"
domains = ["a"]
deny = ["@read", "write"]
mode = "audit"
paths = ["/a/{b,c/d}", "tmpfs:/x"]
except = ["/a/b"]
file_systems = ["fuse*"]
identities = [ { device = "254:1048575", inode = 9223372036854775807, generation = 4294967295 } ]
[[rule]]
allow = ["@net"]
net = [ { address = "10.0.0.0/8", port = [80, "90-99"] }, { port = 1 }, { family = "unix" } ]
[[rule]]
audit = ["capable"]
capabilities = ["CAP_SYS_ADMIN", "net_raw"]
[[rule]]
allow = ["bpf", "signal", "capable"]
)");
    ASSERT_EQ(all.size(), 1U);
    const auto& policy = all[0];
    EXPECT_EQ(policy.name, "web");
    EXPECT_TRUE(policy.loss_denies);
    const auto& a = policy.domains.at(0);
    EXPECT_TRUE(a.denies && a.own_root && !a.secure_exec);
    EXPECT_EQ(a.mode, Mode::audit);
    const auto& way = a.enter.at(0);
    EXPECT_EQ(way.exe->patterns.size(), 2U);
    EXPECT_EQ(way.identity->device, 8U << 20 | 1);
    EXPECT_EQ(way.uid, (IdRange{33, 33}));
    EXPECT_EQ(way.gid, (IdRange{4, 9}));
    EXPECT_EQ(way.userns_init, false);
    EXPECT_EQ(a.enter.at(1).gid, (IdRange{4, 4}));
    const auto& first = policy.rules.at(0);
    EXPECT_EQ(first.ops, BW_OP_READ | BW_OP_EXEC | BW_OP_MAP_EXEC | BW_OP_WRITE);
    EXPECT_EQ(first.paths.at(0).patterns.at(1).text(), "/a/c/d");
    EXPECT_TRUE(first.paths.at(1).patterns.at(0).detached);
    EXPECT_EQ(first.identities.at(0).device, 254U << 20 | 0xfffff);
    const auto& net = policy.rules.at(1).net;
    // Two ports of one network; one port of both families that have ports; a family.
    ASSERT_EQ(net.size(), 5U);
    EXPECT_EQ(net[1].port_first, 90U);
    EXPECT_EQ(net[2].family, 2);
    EXPECT_EQ(net[3].family, 10);
    EXPECT_TRUE(net[4].family_alone());
    EXPECT_EQ(policy.rules.at(1).name, "t.toml:23");
    EXPECT_EQ(policy.rules.at(2).capabilities, 1ULL << 21 | 1ULL << 13);
    EXPECT_EQ(policy.rules.at(3).capabilities, ~0ULL);
}

TEST(Parse, NamesOfUsersComeFromTheCaller) {
    Diagnostics diagnostics;
    const auto policy = parse(domain + "enter = [{ uid = 'www-data' }]", "t.toml", Names{}, diagnostics);
    EXPECT_NE(all_of(diagnostics).find("names are not looked up here"), std::string::npos);
}

// A socket has no address when it is made.
TEST(Parse, WarnsWhereASocketIsDeniedByAddress) {
    const auto said = [](const std::string& ops) {
        return problems(rule("deny = [" + ops + "]\nnet = [{ address = '10.0.0.0/8' }]"));
    };
    EXPECT_TRUE(said("'socket', 'connect'").starts_with("t.toml:5:9: warning: a socket is made before"));
    EXPECT_EQ(said("'@net'"), "");
    EXPECT_EQ(said("'connect'"), "");
}

}  // namespace bpfwarden::policy
