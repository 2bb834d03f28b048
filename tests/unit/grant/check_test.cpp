// SPDX-License-Identifier: Apache-2.0
#include "grant/check.hpp"

#include <gmock/gmock.h>

#include <cerrno>

#include "base/text.hpp"
#include "grants.hpp"

namespace bpfwarden::grant {

static Verdict ask(const Resolved& grant, std::string_view text) {
    std::vector<std::string> words;
    for (const auto word : split(text, ' ')) words.emplace_back(word);
    const auto operation = parse_operation(words);
    EXPECT_TRUE(operation) << text;
    return operation ? check(grant, *operation) : Verdict{};
}

// Each row: what is allowed by the grant, and its twin that is not, with the key that refuses it.
struct Twin {
    const char *grant, *allowed, *refused, *key;
};

TEST(Check, EveryPermissionHasItsTwin) {
    for (const auto& [text, yes, no, key] : {
             Twin{"[allow]\nmap_types = ['hash']", "map_create hash", "map_create lpm_trie", "allow.map_types"},
             Twin{"[allow]\nprogram_types = ['xdp']", "prog_load xdp", "prog_load kprobe", "allow.program_types"},
             Twin{"[allow]\nprogram_types = ['xdp']", "prog_load xdp attach=xdp", "prog_load xdp attach=xdp_devmap",
                  "allow.attach_types"},
             Twin{"[allow]\nprogram_types = ['xdp']\nhelpers = ['loop']", "prog_load xdp helper=loop",
                  "prog_load xdp helper=loop helper=redirect", "allow.helpers"},
             Twin{"[allow]\nprogram_types = ['xdp']\nkfuncs = ['bpf_xdp_*']",
                  "prog_load xdp kfunc=bpf_xdp_metadata_rx_hash", "prog_load xdp kfunc=bpf_task_acquire",
                  "allow.kfuncs"},
             Twin{"[allow]\nprogram_types = ['xdp']\nverifier = ['callbacks']", "prog_load xdp feature=callbacks",
                  "prog_load xdp feature=bounded_loops", "allow.verifier"},
             Twin{"[allow]\nprogram_types = ['xdp']", "prog_load xdp instructions=4096",
                  "prog_load xdp instructions=4097", "allow.verifier"},
             Twin{"[allow]\nprogram_types = ['xdp']\nverifier = ['large_programs']\n[limits]\ninstructions = 5000",
                  "prog_load xdp instructions=5000", "prog_load xdp instructions=5001", "limits.instructions"},
             Twin{"[allow]\nprogram_types = ['xdp']\n[identity]\nsha256 = "
                  "['0000000000000000000000000000000000000000000000000000000000000000']",
                  "prog_load xdp sha256=0000000000000000000000000000000000000000000000000000000000000000",
                  "prog_load xdp", "identity.sha256"},
             Twin{"[allow]\nprogram_types = ['xdp']\n[identity]\nsigners = ['release*']",
                  "prog_load xdp signer=release-1", "prog_load xdp signer=me", "identity.signers"},
             Twin{"[allow]\nprogram_types = ['xdp']\n[identity]\nsigners = ['release*']",
                  "prog_load xdp signer=release-1", "prog_load xdp", "identity.signers"},
             Twin{"[allow]\nprogram_types = ['tracing']\nattach_types = ['trace_fentry']\n[targets]\nfunctions = "
                  "['tcp_*']",
                  "prog_load tracing attach=trace_fentry function=tcp_connect",
                  "prog_load tracing attach=trace_fentry function=do_unlinkat", "targets.functions"},
             Twin{"[allow]\nprogram_types = ['tracing']\nattach_types = ['trace_fentry']\n[targets]\nfunctions = "
                  "['tcp_*']",
                  "prog_load tracing attach=trace_fentry function=tcp_connect", "prog_load tracing attach=trace_fentry",
                  "targets.functions"},
             Twin{"[allow]\nprogram_types = ['tracing']\nattach_types = ['trace_raw_tp']\n[targets]\ntracepoints = "
                  "['sched_*']",
                  "prog_load tracing attach=trace_raw_tp tracepoint=sched_switch",
                  "prog_load tracing attach=trace_raw_tp tracepoint=sys_enter", "targets.tracepoints"},
             Twin{"[allow]\nmap_types = ['hash']", "btf_load", "prog_load socket_filter", "allow.program_types"},
             Twin{"[allow]\nprogram_types = ['xdp']", "attach xdp interface=eth0", "attach tcx_ingress interface=eth0",
                  "allow.attach_types"},
             Twin{"[allow]\nprogram_types = ['xdp']\n[targets]\ninterfaces = ['veth*']", "attach xdp interface=veth7",
                  "attach xdp interface=eth0", "targets.interfaces"},
             Twin{"[allow]\nprogram_types = ['xdp']\n[targets]\ninterfaces = ['veth*']", "attach xdp interface=veth7",
                  "attach xdp", "targets.interfaces"},
             Twin{"[allow]\nprogram_types = ['cgroup_skb']\nattach_types = ['@cgroup_skb']\n[targets]\ncgroups = "
                  "['/a/**']",
                  "attach cgroup_inet_egress cgroup=/a/b/c", "attach cgroup_inet_egress cgroup=/b", "targets.cgroups"},
             Twin{"[allow]\nprogram_types = ['cgroup_skb']\nattach_types = ['cgroup_inet_egress']",
                  "attach cgroup_inet_egress program=cgroup_skb", "attach cgroup_inet_ingress program=cgroup_skb",
                  "allow.attach_types"},
             Twin{"[allow]\nprogram_types = ['tracepoint']\n[targets]\ntracepoints = ['sched/*']",
                  "perf_event_open tracepoint=sched/sched_switch", "perf_event_open tracepoint=syscalls/sys_enter_open",
                  "targets.tracepoints"},
             Twin{"[allow]\nprogram_types = ['kprobe']\n[targets]\nfunctions = ['tcp_*']",
                  "perf_event_open function=tcp_x", "perf_event_open uprobe=/bin/sh:main", "targets.uprobes"},
             Twin{"[allow]\nprogram_types = ['perf_event']\n[targets]\nperf_events = ['software/*']",
                  "perf_event_open event=software/cpu_clock", "perf_event_open event=hardware/cpu_cycles",
                  "targets.perf_events"},
             Twin{"[allow]\nprogram_types = ['tracepoint']\n[targets]\ntracepoints = ['any']\nperf_events = ['any']",
                  "perf_event_open tracepoint=a/b", "perf_event_open event=software/cpu_clock", "allow.program_types"},
             Twin{"[allow]\nprogram_types = ['xdp']", "command link_create", "command enable_stats", "allow.commands"},
             Twin{"[allow]\nprogram_types = ['xdp']\ncommands = ['prog_load']", "command prog_load",
                  "command link_create", "allow.commands"},
             Twin{"[allow]\nprogram_types = ['xdp']\ncommands = ['prog_load']", "prog_load xdp",
                  "attach xdp interface=x", "allow.commands"},
             Twin{"[allow]\nhelpers = ['@base']", "helper map_lookup_elem", "helper probe_read_kernel",
                  "allow.helpers"},
             Twin{"[allow]\nkfuncs = ['a*']", "kfunc ab", "kfunc b", "allow.kfuncs"},
         }) {
        const auto grant = resolved("format = 1\n" + std::string(text));
        const auto allowed = ask(grant, yes);
        EXPECT_TRUE(allowed.allowed) << yes << ": " << allowed.reason << "\n" << text;
        EXPECT_EQ(allowed.error, 0);
        EXPECT_FALSE(allowed.reason.empty());
        const auto refused = ask(grant, no);
        EXPECT_FALSE(refused.allowed) << no << ": " << refused.reason << "\n" << text;
        EXPECT_EQ(refused.key, key) << no << ": " << refused.reason;
        EXPECT_NE(refused.error, 0);
        EXPECT_FALSE(refused.reason.empty());
        EXPECT_EQ(refused.at.file, "t.toml");
    }
}

TEST(Check, NamesTheLineThatDecides) {
    const auto grant = resolved("format = 1\n[allow]\nmap_types = ['hash',\n  'lpm_trie']\nhelpers = ['@base']\n");
    EXPECT_EQ(ask(grant, "map_create lpm_trie").at, (Position{"t.toml", 4, 3}));
    EXPECT_EQ(ask(grant, "map_create queue").at, (Position{"t.toml", 3, 1}));
    EXPECT_EQ(ask(grant, "helper loop").reason, "helper loop is in \"@base\"");
    EXPECT_EQ(ask(grant, "prog_load xdp").at.line, 2U) << "[allow], as there is no key";
}

TEST(Check, GivesTheErrnoThatTheKernelWould) {
    const auto grant =
        resolved("format = 1\n[allow]\nprogram_types = ['xdp']\nverifier = ['any']\n[limits]\ninstructions = 10");
    EXPECT_EQ(ask(grant, "map_create queue").error, EPERM);
    EXPECT_EQ(ask(grant, "prog_load xdp instructions=11").error, E2BIG);
    EXPECT_EQ(ask(grant, "prog_load xdp attach=cgroup_device").error, EINVAL);
}

// Bit 0 of the attach types is there for loading only.
TEST(Check, ImpliedValuesAllowOnlyWhatTheyAreImpliedFor) {
    const auto grant = allowing("program_types = ['xdp', 'cgroup_skb']\nattach_types = ['cgroup_inet_egress']");
    EXPECT_TRUE(ask(grant, "prog_load socket_filter").allowed);
    EXPECT_TRUE(ask(grant, "prog_load cgroup_skb").allowed)
        << "libbpf cannot tell the attach type when its probe fails";
    EXPECT_TRUE(ask(grant, "attach cgroup_inet_egress cgroup=/x").allowed);
    EXPECT_FALSE(ask(grant, "attach cgroup_inet_ingress cgroup=/x").allowed);
    EXPECT_THAT(ask(grant, "attach cgroup_inet_ingress cgroup=/x").reason,
                ::testing::HasSubstr("implied, but not for"));
    const auto raw = allowing("program_types = ['raw_tracepoint', 'tracing']\nattach_types = ['trace_fentry']");
    EXPECT_FALSE(ask(raw, "prog_load tracing attach=trace_raw_tp tracepoint=x").allowed)
        << "implied for raw_tracepoint, not for tracing";
}

TEST(Check, TypesThatMustSayTheirAttachType) {
    const auto grant = allowing("program_types = ['cgroup_sock_addr']\nattach_types = ['@connect']");
    EXPECT_FALSE(ask(grant, "prog_load cgroup_sock_addr").allowed);
    EXPECT_TRUE(ask(grant, "prog_load cgroup_sock_addr attach=cgroup_inet4_connect").allowed);
}

TEST(Check, LibbpfsProbePassesIdentityAndNothingElseDoes) {
    const auto grant = resolved("format = 1\n[allow]\nprogram_types = ['xdp']\n[identity]\nsigners = ['x']");
    ProgLoad probe{.type = "socket_filter", .trivial = true};
    EXPECT_TRUE(check(grant, probe).allowed);
    probe.trivial = false;
    EXPECT_FALSE(check(grant, probe).allowed);
    probe.trivial = true;
    probe.type = "xdp";
    EXPECT_FALSE(check(grant, probe).allowed);
}

// Whatever their type: were it refused, libbpf and bpftrace would go on as on a kernel that lacks what they ask for.
TEST(Check, ProbesAreAllowedWhereverAnyProgramIs) {
    const auto* const probe =
        "prog_load kprobe attach=trace_kprobe_multi instructions=2 "
        "sha256=59f4a931744dcdc62944a018ed3990e666ec6444616418d3b09a82dc5c753d52";
    const auto* const other =
        "prog_load kprobe attach=trace_kprobe_multi instructions=2 "
        "sha256=60f4a931744dcdc62944a018ed3990e666ec6444616418d3b09a82dc5c753d52";
    const auto* const attached = "attach trace_kprobe_multi program=kprobe function=do_exit";
    const auto xdp = allowing("program_types = ['xdp']");
    EXPECT_TRUE(ask(xdp, probe).allowed);
    EXPECT_FALSE(ask(xdp, other).allowed);
    EXPECT_FALSE(ask(xdp, attached).allowed) << "a probe that was loaded is attached to nothing";
    EXPECT_FALSE(ask(allowing("map_types = ['hash']"), probe).allowed);

    // Attached, this one would drop all packets: where its type is granted it is a program like any other.
    const auto* const drops =
        "prog_load cgroup_skb instructions=2 sha256=59f4a931744dcdc62944a018ed3990e666ec6444616418d3b09a82dc5c753d52";
    EXPECT_TRUE(ask(xdp, drops).allowed);
    EXPECT_FALSE(ask(xdp, "attach cgroup_inet_ingress program=cgroup_skb cgroup=/x").allowed);
    const auto known =
        resolved("format = 1\n[allow]\nprogram_types = ['cgroup_skb']\n[identity]\nsigners = ['somebody']");
    EXPECT_FALSE(ask(known, drops).allowed);
}

TEST(Check, EveryFilesNarrowingHolds) {
    const auto grant =
        resolved("format = 1\ninclude = ['b']\n[allow]\nprogram_types = ['xdp']\n[targets]\ninterfaces = ['*0']",
                 {{"b", "format = 1\n[targets]\ninterfaces = ['veth*']"}});
    EXPECT_TRUE(ask(grant, "attach xdp interface=veth0").allowed);
    EXPECT_FALSE(ask(grant, "attach xdp interface=eth0").allowed);
    EXPECT_FALSE(ask(grant, "attach xdp interface=veth1").allowed);
}

// What a decoder meets and this release has no name for.
TEST(Check, UnknownNamesAreRefused) {
    const auto grant = allowing(
        "program_types = ['any']\nmap_types = ['any']\nattach_types = ['any']\nhelpers = ['any']\n"
        "kfuncs = ['any']\nverifier = ['any']\ncommands = ['any']");
    EXPECT_FALSE(check(grant, MapCreate{"77"}).allowed);
    EXPECT_FALSE(check(grant, ProgLoad{.type = "77"}).allowed);
    EXPECT_FALSE(check(grant, ProgLoad{.type = "xdp", .attach = "99"}).allowed);
    EXPECT_FALSE(check(grant, ProgLoad{.type = "xdp", .helpers = {"999"}}).allowed);
    EXPECT_FALSE(check(grant, ProgLoad{.type = "xdp", .features = {"time_travel"}}).allowed);
    EXPECT_FALSE(check(grant, OtherCommand{"77"}).allowed);
    EXPECT_FALSE(check(grant, Attach{.type = "99"}).allowed);
    EXPECT_FALSE(check(grant, Attach{.type = "xdp", .program = "77"}).allowed);
    EXPECT_FALSE(check(grant, Attach{.type = "xdp", .command = "77"}).allowed);
    EXPECT_FALSE(check(grant, PerfEventOpen{Target::cgroups, "x"}).allowed);
    EXPECT_TRUE(check(grant, ProgLoad{.type = "xdp", .attach = "xdp"}).allowed) << "control";
}

TEST(Check, StructOpsAreLoadedWithTheNumberOfAnOperation) {
    const auto grant = allowing("program_types = ['struct_ops']\nmap_types = ['struct_ops']");
    EXPECT_TRUE(check(grant, ProgLoad{.type = "struct_ops", .attach = "cgroup_device"}).allowed);
    EXPECT_TRUE(ask(grant, "attach struct_ops").allowed);
}

}  // namespace bpfwarden::grant
