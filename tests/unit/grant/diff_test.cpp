// SPDX-License-Identifier: Apache-2.0
#include "grant/diff.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

static std::vector<std::string> changes(const std::string& was, const std::string& is,
                                        std::map<std::string, std::string> others = {}) {
    std::vector<std::string> out;
    for (const auto& one : diff(resolved("format = 1\n" + was, others), resolved("format = 1\n" + is, others)).changes)
        if (!one.implied) out.push_back(std::string(name_of(one.direction)) + " " + one.key + " " + one.what);
    return out;
}

struct Case {
    const char *less, *more, *key;
};

// Each pair, forwards, widens and does not narrow; backwards it is the other way round.
TEST(Diff, WidensOneWayAndNarrowsTheOther) {
    for (const auto& [less, more, key] : {
             Case{"[allow]\nmap_types = ['hash']", "[allow]\nmap_types = ['hash', 'queue']", "allow.map_types"},
             Case{"", "[allow]\nprogram_types = ['xdp']", "allow.program_types"},
             Case{"[allow]\nhelpers = ['@base']", "[allow]\nhelpers = ['any']", "allow.helpers"},
             Case{"[allow]\nkfuncs = ['bpf_x']", "[allow]\nkfuncs = ['bpf_*']", "allow.kfuncs"},
             Case{"[allow]\nverifier = []", "[allow]\nverifier = ['@bpf']", "allow.verifier"},
             Case{"[allow]\ncapabilities = ['bpf']", "[allow]\ncapabilities = ['bpf', 'net_raw']",
                  "allow.capabilities"},
             Case{"[allow]\nprogram_types = ['xdp']\ncommands = ['prog_load']", "[allow]\nprogram_types = ['xdp']",
                  "allow.commands"},
             Case{"[allow]\nprogram_types = ['cgroup_skb', 'xdp']\nattach_types = []",
                  "[allow]\nprogram_types = ['cgroup_skb', 'xdp']\nattach_types = ['cgroup_inet_ingress']",
                  "allow.attach_types"},
             Case{"[targets]\ninterfaces = ['lo']", "", "targets.interfaces"},
             Case{"[targets]\ninterfaces = ['veth1']", "[targets]\ninterfaces = ['veth*']", "targets.interfaces"},
             Case{"", "[targets]\ntracepoints = ['a/b']", "targets.tracepoints"},
             Case{"[targets]\nfunctions = []", "[targets]\nfunctions = ['any']", "targets.functions"},
             Case{"[identity]\nsigners = ['a']", "[identity]\nsigners = ['a', 'b']", "identity.signers"},
             Case{"[identity]\nsha256 = []", "", "identity.sha256"},
             Case{"[limits]\nprograms = 4", "[limits]\nprograms = 5", "limits.programs"},
             Case{"[limits]\nmap_memory = '1MiB'", "", "limits.map_memory"},
             Case{"[session]\nlifetime = '1h'", "[session]\nlifetime = '2h'", "session.lifetime"},
             Case{"[session]\nhand_out = 'link'", "", "session.hand_out"},
             Case{"", "[session]\nhand_out = 'program'", "session.hand_out"},
             Case{"[session]\non_close = 'detach'", "[session]\non_close = 'keep'", "session.on_close"},
             Case{"", "[session]\nnot_revocable = true", "session.not_revocable"},
             Case{"", "subject = [ { user = 'a' } ]", "subject"},
             Case{"subject = [ { user = 'a', exe = '/x' } ]", "subject = [ { user = 'a' } ]", "subject"},
             Case{"subject = [ { cgroup = '/a/b' } ]", "subject = [ { cgroup = '/a/*' } ]", "subject"},
         }) {
        const auto a = resolved("format = 1\n" + std::string(less)), b = resolved("format = 1\n" + std::string(more));
        const auto forwards = diff(a, b), back = diff(b, a);
        EXPECT_TRUE(forwards.widens()) << more;
        EXPECT_FALSE(forwards.narrows()) << more;
        EXPECT_TRUE(back.narrows()) << more;
        EXPECT_FALSE(back.widens()) << more;
        EXPECT_TRUE(std::ranges::any_of(forwards.changes, [&](const Change& one) { return one.key == key; })) << more;
        EXPECT_FALSE(diff(a, a).widens() || diff(a, a).narrows());
        EXPECT_TRUE(diff(b, b).changes.empty());
    }
}

TEST(Diff, SaysWhatChanged) {
    EXPECT_THAT(changes("[limits]\nprograms = 16\nmap_memory = '1MiB'", "[limits]\nprograms = 8\nmaps = 3"),
                ::testing::UnorderedElementsAre("narrows limits.programs 16 -> 8", "narrows limits.maps none -> 3",
                                                "widens limits.map_memory 1MiB -> none"));
    EXPECT_THAT(changes("name = 'a'\ndangerous = ['lsm']", "name = 'b'\ndescription = 'x'"),
                ::testing::UnorderedElementsAre("neither name \"a\" -> \"b\"", "neither description changed",
                                                "neither dangerous - lsm"));
}

// What cannot be seen to lie within the old patterns counts as wider.
TEST(Diff, UnclearPatternsCountAsWider) {
    EXPECT_THAT(changes("[targets]\ninterfaces = ['veth*']", "[targets]\ninterfaces = ['veth?']"),
                ::testing::Contains("widens targets.interfaces + veth?"));
    EXPECT_THAT(changes("[targets]\ninterfaces = ['any']", "[targets]\ninterfaces = ['veth?']"),
                ::testing::ElementsAre("narrows targets.interfaces - **"));
}

TEST(Diff, ListsOfSeveralFiles) {
    const std::map<std::string, std::string> others{{"b", "format = 1\n[targets]\ninterfaces = ['veth*']"}};
    const std::string both = "include = ['b']\n[targets]\ninterfaces = ['*0']", one = "[targets]\ninterfaces = ['*0']";
    EXPECT_THAT(changes(one, both, others),
                ::testing::ElementsAre("narrows targets.interfaces a list is new or stricter"));
    EXPECT_THAT(changes(both, one, others),
                ::testing::ElementsAre("widens targets.interfaces a list is gone or looser"));
    EXPECT_THAT(changes(both, both, others), ::testing::IsEmpty());
}

}  // namespace bpfwarden::grant
