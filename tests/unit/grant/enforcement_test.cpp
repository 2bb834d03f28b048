// SPDX-License-Identifier: Apache-2.0
#include "grant/enforcement.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Allows by token all that a token cannot hold back.
static const std::string open =
    "helpers = ['any']\nkfuncs = ['any']\nverifier = ['any']\ncapabilities = ['bpf', 'net_admin']\n";

static std::vector<std::string> lost(const Resolved& grant, Way way = Way::token) {
    std::vector<std::string> keys;
    for (const auto& one : unenforced(grant, way)) {
        EXPECT_FALSE(one.why.empty()) << one.key;
        keys.push_back(one.key);
    }
    return keys;
}
static std::vector<std::string> lost_by(const std::string& lines) { return lost(resolved("format = 1\n" + lines)); }

TEST(Enforcement, ATokenHoldsTypesAndCapabilities) {
    EXPECT_THAT(lost_by("[allow]\nprogram_types = ['xdp']\nmap_types = ['hash']\n" + open), IsEmpty());
    EXPECT_THAT(lost_by("[allow]\nmap_types = ['hash']\ncapabilities = ['bpf']"), IsEmpty()) << "no program, no helper";
}

// What is absent allows nothing, and a token cannot hold that back either.
TEST(Enforcement, ATokenCannotLookIntoPrograms) {
    EXPECT_THAT(lost_by("[allow]\nprogram_types = ['xdp']\ncapabilities = ['bpf']\n"),
                UnorderedElementsAre("allow.helpers", "allow.kfuncs", "allow.verifier"));
    EXPECT_THAT(
        lost_by("[allow]\nprogram_types = ['xdp']\nhelpers = ['@base']\nkfuncs = ['bpf_*']\nverifier = ['any']"),
        UnorderedElementsAre("allow.helpers", "allow.kfuncs"));
    // Without the capability that unlocks it, the kernel holds a feature back.
    EXPECT_THAT(
        lost_by("[allow]\nprogram_types = ['xdp']\nhelpers = ['any']\nkfuncs = ['any']\nverifier = ['sleepable', "
                "'xdp_frags', 'device_bound']"),
        IsEmpty());
    EXPECT_THAT(
        lost_by("[allow]\nprogram_types = ['xdp']\nhelpers = ['any']\nkfuncs = ['any']\ncapabilities = ['bpf']\n"
                "verifier = ['sleepable', 'xdp_frags', 'device_bound', '@bpf']"),
        UnorderedElementsAre("allow.verifier"));
}

TEST(Enforcement, ATokenCountsNothingAndHoldsNoTargets) {
    EXPECT_THAT(lost_by("[allow]\nprogram_types = ['xdp']\n" + open +
                        "[targets]\ninterfaces = ['veth*']\n[identity]\nsigners = ['x']\nsha256 = []\n"
                        "[limits]\nprograms = 3\nmap_memory = '1MiB'\n[session]\nlifetime = '8h'\nhand_out = 'link'\n"
                        "on_close = 'detach'\n"),
                UnorderedElementsAre("targets.interfaces", "identity.signers", "identity.sha256", "limits.programs",
                                     "limits.map_memory", "session.lifetime", "session.hand_out", "session.on_close"));
    EXPECT_THAT(lost_by("[allow]\nprogram_types = ['xdp']\n" + open +
                        "[targets]\ninterfaces = ['any']\n[session]\nhand_out = 'program'\nnot_revocable = true\n"),
                IsEmpty())
        << "these ask for what a token does anyway";
}

TEST(Enforcement, NamingNoTracepointIsNotHeldByAToken) {
    const auto with = [](const std::string& types, const std::string& attach, const std::string& targets) {
        return lost_by("[allow]\nprogram_types = " + types + "\nattach_types = " + attach + "\n" + open +
                       "[targets]\n" + targets);
    };
    EXPECT_THAT(with("['raw_tracepoint']", "[]", ""), UnorderedElementsAre("targets.tracepoints"));
    EXPECT_THAT(with("['raw_tracepoint']", "[]", "tracepoints = ['any']"), IsEmpty());
    EXPECT_THAT(with("['raw_tracepoint']", "[]", "tracepoints = ['sched_switch']"),
                UnorderedElementsAre("targets.tracepoints"));
    EXPECT_THAT(with("['tracing']", "['trace_fentry']", ""), UnorderedElementsAre("targets.functions"));
    EXPECT_THAT(with("['kprobe']", "['trace_uprobe_multi']", ""), UnorderedElementsAre("targets.uprobes"));
    // Classic tracepoints and kprobes need a perf event, which nobody in a user namespace can open.
    EXPECT_THAT(with("['tracepoint', 'kprobe']", "[]", ""), IsEmpty());
}

TEST(Enforcement, AttachTypesThatTheKernelDoesNotTie) {
    const auto with = [](const std::string& types, const std::string& attach) {
        return lost_by("[allow]\nprogram_types = " + types + "\nattach_types = " + attach + "\n" + open);
    };
    EXPECT_THAT(with("['cgroup_skb']", "['cgroup_inet_egress']"), UnorderedElementsAre("allow.attach_types"));
    EXPECT_THAT(with("['cgroup_skb']", "['@cgroup_skb']"), IsEmpty());
    EXPECT_THAT(with("['sched_cls']", "['tcx_ingress']"), UnorderedElementsAre("allow.attach_types"));
    EXPECT_THAT(with("['sched_cls']", "['@tc']"), IsEmpty());
    EXPECT_THAT(with("['cgroup_sock_addr']", "['cgroup_inet4_connect']"), IsEmpty()) << "tied at load";
    EXPECT_THAT(with("['cgroup_sock']", "['cgroup_inet4_post_bind']"), UnorderedElementsAre("allow.attach_types"))
        << "0 is taken for cgroup_inet_sock_create";
}

// bpf_token_allow_prog_type compares expected_attach_type, which is an operation's number here, with the mask's bits.
TEST(Enforcement, TheOperationsOfStructOpsAreNotHeldByAToken) {
    EXPECT_THAT(lost_by("dangerous = ['struct_ops']\n[allow]\nprogram_types = ['struct_ops']\n" + open),
                Contains("allow.attach_types"));
}

TEST(Enforcement, CommandsThatAskForNoToken) {
    EXPECT_THAT(lost_by("[allow]\nprogram_types = ['xdp']\ncommands = ['prog_load', 'map_create']\n" + open),
                UnorderedElementsAre("allow.commands"));
    EXPECT_THAT(lost_by("[allow]\nmap_types = ['hash']\ncommands = ['map_create']\ncapabilities = ['bpf']\n"),
                IsEmpty());
    EXPECT_THAT(lost_by("[allow]\nprogram_types = ['xdp']\ncommands = ['any']\n" + open),
                Not(Contains("allow.helpers")));
}

TEST(Enforcement, TheBrokerHoldsAllButWhatARealProgramEvades) {
    const auto link = resolved(
        "format = 1\n[allow]\nprogram_types = ['xdp']\n[targets]\ninterfaces = ['veth*']\n[limits]\nmaps = 1\n");
    EXPECT_THAT(lost(link, Way::session), IsEmpty());
    EXPECT_THAT(lost(link, Way::notifier), IsEmpty());
    const auto real = resolved(
        "format = 1\n[allow]\nprogram_types = ['xdp']\n[targets]\ninterfaces = ['veth*']\n"
        "[session]\nhand_out = 'program'");
    EXPECT_THAT(lost(real, Way::session), UnorderedElementsAre("targets.interfaces"));
}

TEST(Enforcement, KeysAreNamedShortOrLong) {
    EXPECT_TRUE(names_key("helpers", "allow.helpers"));
    EXPECT_TRUE(names_key("allow.helpers", "allow.helpers"));
    EXPECT_FALSE(names_key("allow", "allow.helpers"));
    EXPECT_FALSE(names_key("kfuncs", "allow.helpers"));
    for (const auto& key : enforced_keys())
        for (const auto way : all_ways) EXPECT_FALSE(name_of(enforced_by(key, way).by).empty());
    EXPECT_EQ(enforced_by("allow.map_types", Way::token).by, Enforcer::kernel_mask);
    EXPECT_EQ(enforced_by("no.such.key", Way::session).by, Enforcer::nobody);
}

}  // namespace bpfwarden::grant
