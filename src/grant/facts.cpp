// SPDX-License-Identifier: Apache-2.0
#include "grant/facts.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace bpfwarden::grant {

using Names = std::string_view;

static constexpr Names cgroup_skb[] = {"cgroup_inet_ingress", "cgroup_inet_egress"};
static constexpr Names cgroup_sock[] = {"cgroup_inet_sock_create", "cgroup_inet_sock_release", "cgroup_inet4_post_bind",
                                        "cgroup_inet6_post_bind"};
static constexpr Names cgroup_sock_addr[] = {
    "cgroup_inet4_bind",        "cgroup_inet6_bind",        "cgroup_inet4_connect",     "cgroup_inet6_connect",
    "cgroup_udp4_sendmsg",      "cgroup_udp6_sendmsg",      "cgroup_udp4_recvmsg",      "cgroup_udp6_recvmsg",
    "cgroup_inet4_getpeername", "cgroup_inet6_getpeername", "cgroup_inet4_getsockname", "cgroup_inet6_getsockname",
    "cgroup_unix_connect",      "cgroup_unix_sendmsg",      "cgroup_unix_recvmsg",      "cgroup_unix_getpeername",
    "cgroup_unix_getsockname"};
static constexpr Names cgroup_sockopt[] = {"cgroup_getsockopt", "cgroup_setsockopt"};
static constexpr Names cgroup_device[] = {"cgroup_device"};
static constexpr Names cgroup_sysctl[] = {"cgroup_sysctl"};
static constexpr Names sock_ops[] = {"cgroup_sock_ops"};
static constexpr Names sk_skb[] = {"sk_skb_stream_parser", "sk_skb_stream_verdict", "sk_skb_verdict"};
static constexpr Names sk_msg[] = {"sk_msg_verdict"};
static constexpr Names sk_lookup[] = {"sk_lookup"};
static constexpr Names sk_reuseport[] = {"sk_reuseport_select", "sk_reuseport_select_or_migrate"};
static constexpr Names lirc[] = {"lirc_mode2"};
static constexpr Names flow_dissector[] = {"flow_dissector"};
static constexpr Names xdp[] = {"xdp", "xdp_devmap", "xdp_cpumap"};
static constexpr Names tcx[] = {"tcx_ingress", "tcx_egress", "netkit_primary", "netkit_peer"};
static constexpr Names netfilter[] = {"netfilter"};
static constexpr Names kprobe[] = {"perf_event", "trace_kprobe_multi", "trace_kprobe_session", "trace_uprobe_multi",
                                   "trace_uprobe_session"};
static constexpr Names perf[] = {"perf_event"};
static constexpr Names raw_tp[] = {"trace_raw_tp"};
static constexpr Names tracing[] = {"trace_raw_tp",       "trace_fentry",      "trace_fexit",
                                    "modify_return",      "trace_iter",        "trace_fsession",
                                    "trace_fentry_multi", "trace_fexit_multi", "trace_fsession_multi"};
static constexpr Names lsm[] = {"lsm_mac", "lsm_cgroup"};
static constexpr Names struct_ops[] = {"struct_ops"};

// In the kernel's order.
static constexpr ProgramFacts programs[] = {
    {.type = "socket_filter", .zero_load = true},
    {.type = "kprobe",
     .perfmon = true,
     .reach = Reach::kernel,
     .zero_load = true,
     .tracing = true,
     .natural = "perf_event",
     .attach_types = kprobe},
    {.type = "sched_cls",
     .net_admin = true,
     .reach = Reach::network,
     .zero_load = true,
     .loose = true,
     .attach_types = tcx},
    {.type = "sched_act", .net_admin = true, .reach = Reach::network, .zero_load = true},
    {.type = "tracepoint",
     .perfmon = true,
     .reach = Reach::kernel,
     .zero_load = true,
     .tracing = true,
     .natural = "perf_event",
     .attach_types = perf},
    {.type = "xdp",
     .net_admin = true,
     .reach = Reach::network,
     .zero_load = true,
     .natural = "xdp",
     .attach_types = xdp},
    {.type = "perf_event",
     .perfmon = true,
     .reach = Reach::kernel,
     .zero_load = true,
     .tracing = true,
     .natural = "perf_event",
     .attach_types = perf},
    {.type = "cgroup_skb", .reach = Reach::cgroup, .zero_load = true, .loose = true, .attach_types = cgroup_skb},
    {.type = "cgroup_sock", .net_admin = true, .reach = Reach::cgroup, .zero_load = true, .attach_types = cgroup_sock},
    {.type = "lwt_in", .net_admin = true, .reach = Reach::network, .zero_load = true},
    {.type = "lwt_out", .net_admin = true, .reach = Reach::network, .zero_load = true},
    {.type = "lwt_xmit", .net_admin = true, .reach = Reach::network, .zero_load = true},
    {.type = "sock_ops",
     .net_admin = true,
     .reach = Reach::cgroup,
     .zero_load = true,
     .natural = "cgroup_sock_ops",
     .attach_types = sock_ops},
    {.type = "sk_skb", .net_admin = true, .zero_load = true, .loose = true, .attach_types = sk_skb},
    {.type = "cgroup_device",
     .net_admin = true,
     .reach = Reach::cgroup,
     .zero_load = true,
     .natural = "cgroup_device",
     .attach_types = cgroup_device},
    {.type = "sk_msg", .net_admin = true, .zero_load = true, .natural = "sk_msg_verdict", .attach_types = sk_msg},
    {.type = "raw_tracepoint",
     .perfmon = true,
     .reach = Reach::kernel,
     .zero_load = true,
     .tracing = true,
     .natural = "trace_raw_tp",
     .attach_types = raw_tp},
    {.type = "cgroup_sock_addr", .net_admin = true, .reach = Reach::cgroup, .attach_types = cgroup_sock_addr},
    {.type = "lwt_seg6local", .net_admin = true, .reach = Reach::network, .zero_load = true},
    // CAP_NET_ADMIN until 6.4.
    {.type = "lirc_mode2", .zero_load = true, .natural = "lirc_mode2", .attach_types = lirc},
    {.type = "sk_reuseport", .zero_load = true, .natural = "sk_reuseport_select", .attach_types = sk_reuseport},
    {.type = "flow_dissector",
     .net_admin = true,
     .reach = Reach::network,
     .zero_load = true,
     .natural = "flow_dissector",
     .attach_types = flow_dissector},
    {.type = "cgroup_sysctl",
     .net_admin = true,
     .reach = Reach::cgroup,
     .zero_load = true,
     .natural = "cgroup_sysctl",
     .attach_types = cgroup_sysctl},
    {.type = "raw_tracepoint_writable",
     .perfmon = true,
     .reach = Reach::kernel,
     .zero_load = true,
     .tracing = true,
     .natural = "trace_raw_tp",
     .attach_types = raw_tp},
    {.type = "cgroup_sockopt", .net_admin = true, .reach = Reach::cgroup, .attach_types = cgroup_sockopt},
    {.type = "tracing", .perfmon = true, .reach = Reach::kernel, .tracing = true, .attach_types = tracing},
    // Its expected_attach_type is not an attach type but the number of the operation in the struct.
    {.type = "struct_ops",
     .perfmon = true,
     .reach = Reach::kernel,
     .zero_load = true,
     .natural = "struct_ops",
     .attach_types = struct_ops},
    {.type = "ext", .net_admin = true, .perfmon = true, .reach = Reach::kernel, .zero_load = true},
    {.type = "lsm", .perfmon = true, .reach = Reach::kernel, .tracing = true, .attach_types = lsm},
    {.type = "sk_lookup", .reach = Reach::network, .natural = "sk_lookup", .attach_types = sk_lookup},
    // Loading takes CAP_BPF only; what it calls (bpf_sys_bpf) takes CAP_PERFMON.
    {.type = "syscall", .reach = Reach::kernel, .zero_load = true, .tracing = true},
    {.type = "netfilter",
     .net_admin = true,
     .reach = Reach::network,
     .natural = "netfilter",
     .attach_types = netfilter},
};

std::string_view describe(Reach reach) {
    switch (reach) {
        case Reach::object:
            return "what the process holds already";
        case Reach::cgroup:
            return "a control group and all below it";
        case Reach::network:
            return "a network namespace";
        case Reach::kernel:
            return "the whole machine";
    }
    return "";
}

std::string_view contained_by(Reach reach) {
    switch (reach) {
        case Reach::object:
            return "nothing, as nothing is needed";
        case Reach::cgroup:
            return "a cgroup namespace, with every cgroup2 mount covered and inherited fds closed";
        case Reach::network:
            return "a network namespace of its own, with no fd of another one inherited";
        case Reach::kernel:
            return "nothing that there is";
    }
    return "";
}

std::span<const ProgramFacts> all_program_facts() { return programs; }

const ProgramFacts* program_facts(std::string_view type) {
    const auto at = std::ranges::find(programs, type, &ProgramFacts::type);
    return at == std::end(programs) ? nullptr : at;
}

bool takes_attach_type(const ProgramFacts& facts, std::string_view attach_type) {
    return std::ranges::find(facts.attach_types, attach_type) != facts.attach_types.end();
}

std::vector<std::string_view> program_types_of(std::string_view attach_type) {
    std::vector<std::string_view> types;
    for (const auto& facts : programs)
        if (takes_attach_type(facts, attach_type)) types.push_back(facts.type);
    return types;
}

AttachTo attaches_to(std::string_view type) {
    if (type.starts_with("cgroup_") || type == "lsm_cgroup") return AttachTo::cgroup;
    if (type == "xdp" || type.starts_with("tcx_") || type.starts_with("netkit_")) return AttachTo::interface;
    if (type == "trace_raw_tp") return AttachTo::tracepoint;
    if (type.starts_with("trace_uprobe_")) return AttachTo::uprobe;
    // Iterators too: the kernel finds them as functions bpf_iter_NAME.
    if (type.starts_with("trace_") || type == "modify_return" || type == "lsm_mac") return AttachTo::function;
    if (type == "perf_event") return AttachTo::perf_event;
    if (type == "sk_lookup" || type == "flow_dissector" || type == "netfilter") return AttachTo::network;
    return AttachTo::other;
}

std::optional<Target> target_of(AttachTo to) {
    switch (to) {
        case AttachTo::cgroup:
            return Target::cgroups;
        case AttachTo::interface:
            return Target::interfaces;
        case AttachTo::tracepoint:
            return Target::tracepoints;
        case AttachTo::function:
            return Target::functions;
        case AttachTo::uprobe:
            return Target::uprobes;
        // The perf event was judged when it was opened.
        case AttachTo::perf_event:
        case AttachTo::network:
        case AttachTo::other:
            return std::nullopt;
    }
    return std::nullopt;
}

std::string_view map_capability(std::string_view type) {
    static constexpr Names net[] = {"sockmap", "sockhash", "devmap", "devmap_hash", "xskmap"};
    return std::ranges::find(net, type) == std::end(net) ? "" : "net_admin";
}

using enum CommandClass;
using From = CommandFacts::Follows;
static constexpr CommandFacts commands[] = {
    {"map_create", checked, From::maps, ""},
    {"map_lookup_elem", free, From::nothing, ""},
    {"map_update_elem", free, From::nothing, ""},
    {"map_delete_elem", free, From::nothing, ""},
    {"map_get_next_key", free, From::nothing, ""},
    {"prog_load", checked, From::programs, ""},
    {"obj_pin", free, From::nothing, ""},
    {"obj_get", free, From::nothing, ""},
    {"prog_attach", checked, From::programs, ""},
    {"prog_detach", checked, From::programs, ""},
    {"prog_run", checked, From::programs, ""},
    // The lists are of the session's own objects; a kernel token gives none of them.
    {"prog_get_next_id", checked, From::programs, ""},
    {"map_get_next_id", checked, From::maps, ""},
    {"prog_get_fd_by_id", checked, From::programs, ""},
    {"map_get_fd_by_id", checked, From::maps, ""},
    {"obj_get_info_by_fd", free, From::nothing, ""},
    {"prog_query", checked, From::programs, ""},
    {"raw_tracepoint_open", checked, From::programs, ""},
    {"btf_load", checked, From::anything, ""},
    {"btf_get_fd_by_id", checked, From::ext, ""},
    {"task_fd_query", refused, From::nothing, "it looks into the fds of other processes"},
    {"map_lookup_and_delete_elem", free, From::nothing, ""},
    {"map_freeze", free, From::nothing, ""},
    {"btf_get_next_id", checked, From::ext, ""},
    {"map_lookup_batch", free, From::nothing, ""},
    {"map_lookup_and_delete_batch", free, From::nothing, ""},
    {"map_update_batch", free, From::nothing, ""},
    {"map_delete_batch", free, From::nothing, ""},
    {"link_create", checked, From::programs, ""},
    {"link_update", checked, From::programs, ""},
    {"link_get_fd_by_id", checked, From::programs, ""},
    {"link_get_next_id", checked, From::programs, ""},
    {"enable_stats", refused, From::nothing, "it slows down every BPF program of the machine"},
    {"iter_create", checked, From::iterators, ""},
    {"link_detach", checked, From::programs, ""},
    {"prog_bind_map", checked, From::programs, ""},
    {"token_create", free, From::nothing, ""},
    {"prog_stream_read_by_fd", free, From::nothing, ""},
    {"prog_assoc_struct_ops", checked, From::struct_ops, ""},
};
std::span<const CommandFacts> all_command_facts() { return commands; }
const CommandFacts* command_facts(std::string_view command) {
    const auto at = std::ranges::find(commands, command, &CommandFacts::command);
    return at == std::end(commands) ? nullptr : at;
}

// verifier.c, by what it tests: env->bpf_capable (CAP_BPF), allow_ptr_leaks and its kin (CAP_PERFMON), prog_flags.
static constexpr VerifierFeature features[] = {
    {"bpf2bpf_calls", "bpf", false, "functions of its own, called from one another"},
    {"bounded_loops", "bpf", false, "jumps backwards, and open-coded iterators"},
    {"callbacks", "bpf", false, "functions handed to helpers (bpf_loop, bpf_for_each_map_elem, timers)"},
    {"large_programs", "bpf", false, "more than 4096 instructions (up to a million)"},
    {"arena", "bpf", false, "pointers into memory shared with the process (arena maps)"},
    {"indirect_jumps", "bpf", false, "jump tables (insn_array maps, 6.19)"},
    {"exceptions", "bpf", false, "bpf_throw and exception callbacks"},
    {"sleepable", "", false, "programs that may wait (BPF_F_SLEEPABLE)"},
    {"xdp_frags", "", false, "XDP on packets of several buffers (BPF_F_XDP_HAS_FRAGS)"},
    {"device_bound", "", false, "programs tied or offloaded to one interface (prog_ifindex)"},
    {"any_alignment", "bpf", false, "unaligned access where the processor dislikes it (BPF_F_ANY_ALIGNMENT)"},
    {"test_flags", "bpf", false, "the verifier's test flags (BPF_F_TEST_*): slow, for kernel developers"},
    {"pointer_leaks", "perfmon", true, "kernel addresses in maps, in results and in comparisons"},
    {"uninitialized_stack", "perfmon", true, "reading stack bytes that were never written"},
    {"speculation", "perfmon", true, "code without the barriers against Spectre v1 and v4"},
};
std::span<const VerifierFeature> all_verifier_features() { return features; }
const VerifierFeature* verifier_feature(std::string_view name) {
    const auto at = std::ranges::find(features, name, &VerifierFeature::name);
    return at == std::end(features) ? nullptr : at;
}

static constexpr CapabilityFacts capabilities[] = {
    {"bpf", "load programs and make maps at all; loops, calls and large programs in the verifier"},
    {"net_admin", "programs and maps of networking"},
    {"perfmon", "tracing programs; the verifier stops hiding kernel addresses"},
    {"net_raw", "packet and AF_XDP sockets to go with a program"},
    {"sys_admin", "stands in for all the others"},
};
std::span<const CapabilityFacts> all_capability_facts() { return capabilities; }

std::span<const ProbeFacts> all_probe_facts() {
    static constexpr std::string_view nothing = "59f4a931744dcdc62944a018ed3990e666ec6444616418d3b09a82dc5c753d52";
    static constexpr ProbeFacts probes[] = {
        // r0 = 0, exit.
        {"socket_filter", nothing, "whether programs have names, and maps without use"},
        {"tracepoint", nothing, "whether perf events take links (5.15)"},
        {"kprobe", nothing, "whether uprobe_multi is there (6.6)"},
        {"cgroup_skb", nothing, "whether programs attach to control groups (4.10), by cilium/ebpf", true},
        // Writes a number into its own map.
        {"socket_filter", "4555525088775ce672ec36f85f5b89bd53015a9db897d8b1b0bd08b593697eaf", "global data (5.2)"},
        // Reads 8 bytes from address 0 to its stack.
        {"tracepoint", "2a71da1e3f8d9dc085e4e632bc2c22d8d27f4deb2f2bdd8b5c273d7e85398e53", "probe_read_kernel (5.5)"},
        // Calls it with nothing, which no verifier takes: bpftrace reads the reason in its log.
        {"kprobe", "79454ef42cb858d4ee6e767e314c7db72dbf2c09fafd259431b9a1f136a1bd3a", "probe_read_kernel (5.5)"},
        {"socket_filter", "62efe59b7d4f5ea1e6a1c01a78f0fbbb112380f25026afe08dc8f4b90192453f",
         "memory by control group (5.11), known by ktime_get_coarse_ns"},
        {"kprobe", "26bbb9e7623511d4ff39f4fa1f25c26c388b91513d43e3470ca2c7460fb0f29e", "get_attach_cookie (5.15)"},
    };
    return probes;
}

}  // namespace bpfwarden::grant
