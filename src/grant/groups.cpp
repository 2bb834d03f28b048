// SPDX-License-Identifier: Apache-2.0
#include "grant/groups.hpp"

namespace bpfwarden::grant {

using N = std::string_view;

// Program types.
static constexpr N p_tracing[] = {"kprobe", "tracepoint", "perf_event", "raw_tracepoint", "tracing"};
static constexpr N p_cgroup[] = {"cgroup_skb",    "cgroup_sock",   "cgroup_sock_addr", "cgroup_sockopt",
                                 "cgroup_device", "cgroup_sysctl", "sock_ops"};
static constexpr N p_xdp[] = {"xdp"};
static constexpr N p_tc[] = {"sched_cls", "sched_act"};
static constexpr N p_net[] = {"xdp",       "sched_cls",    "sched_act",      "socket_filter",
                              "sk_lookup", "sk_reuseport", "flow_dissector", "netfilter"};
static constexpr N p_sockmap[] = {"sk_skb", "sk_msg"};
static constexpr N p_lwt[] = {"lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local"};

// Map types.
static constexpr N m_base[] = {"hash",     "array",           "percpu_hash", "percpu_array",
                               "lru_hash", "lru_percpu_hash", "prog_array",  "ringbuf"};
static constexpr N m_libbpf[] = {"array",  "hash", "percpu_array", "percpu_hash", "prog_array", "perf_event_array",
                                 "ringbuf"};
static constexpr N m_tracing[] = {"hash",         "array",       "percpu_hash",
                                  "percpu_array", "lru_hash",    "perf_event_array",
                                  "ringbuf",      "stack_trace", "task_storage"};
static constexpr N m_xdp[] = {"devmap", "devmap_hash", "cpumap", "xskmap"};
static constexpr N m_sockmap[] = {"sockmap", "sockhash", "sk_storage"};
static constexpr N m_storage[] = {"sk_storage",   "inode_storage",  "task_storage",
                                  "cgrp_storage", "cgroup_storage", "percpu_cgroup_storage"};
static constexpr N m_of_maps[] = {"array_of_maps", "hash_of_maps"};

// Attach types.
static constexpr N a_cgroup_skb[] = {"cgroup_inet_ingress", "cgroup_inet_egress"};
static constexpr N a_cgroup_sock[] = {"cgroup_inet_sock_create", "cgroup_inet_sock_release", "cgroup_inet4_post_bind",
                                      "cgroup_inet6_post_bind"};
static constexpr N a_connect[] = {"cgroup_inet4_connect", "cgroup_inet6_connect", "cgroup_unix_connect"};
static constexpr N a_bind[] = {"cgroup_inet4_bind", "cgroup_inet6_bind"};
static constexpr N a_sockopt[] = {"cgroup_getsockopt", "cgroup_setsockopt"};
static constexpr N a_cgroup[] = {"cgroup_inet_ingress",
                                 "cgroup_inet_egress",
                                 "cgroup_inet_sock_create",
                                 "cgroup_inet_sock_release",
                                 "cgroup_inet4_post_bind",
                                 "cgroup_inet6_post_bind",
                                 "cgroup_inet4_bind",
                                 "cgroup_inet6_bind",
                                 "cgroup_inet4_connect",
                                 "cgroup_inet6_connect",
                                 "cgroup_udp4_sendmsg",
                                 "cgroup_udp6_sendmsg",
                                 "cgroup_udp4_recvmsg",
                                 "cgroup_udp6_recvmsg",
                                 "cgroup_inet4_getpeername",
                                 "cgroup_inet6_getpeername",
                                 "cgroup_inet4_getsockname",
                                 "cgroup_inet6_getsockname",
                                 "cgroup_unix_connect",
                                 "cgroup_unix_sendmsg",
                                 "cgroup_unix_recvmsg",
                                 "cgroup_unix_getpeername",
                                 "cgroup_unix_getsockname",
                                 "cgroup_getsockopt",
                                 "cgroup_setsockopt",
                                 "cgroup_device",
                                 "cgroup_sysctl",
                                 "cgroup_sock_ops"};
static constexpr N a_xdp[] = {"xdp", "xdp_devmap", "xdp_cpumap"};
static constexpr N a_tc[] = {"tcx_ingress", "tcx_egress", "netkit_primary", "netkit_peer"};
static constexpr N a_fentry[] = {"trace_fentry", "trace_fexit", "trace_fsession"};
static constexpr N a_multi[] = {"trace_kprobe_multi", "trace_kprobe_session", "trace_uprobe_multi",
                                "trace_uprobe_session"};
static constexpr N a_sk_skb[] = {"sk_skb_stream_parser", "sk_skb_stream_verdict", "sk_skb_verdict"};

// Helpers. @base: what a program can do with its own maps and its own arguments. Nothing here reads or changes anything
// that the program was not given.
static constexpr N h_base[] = {"map_lookup_elem",
                               "map_update_elem",
                               "map_delete_elem",
                               "map_push_elem",
                               "map_pop_elem",
                               "map_peek_elem",
                               "map_lookup_percpu_elem",
                               "for_each_map_elem",
                               "ktime_get_ns",
                               "ktime_get_boot_ns",
                               "ktime_get_coarse_ns",
                               "ktime_get_tai_ns",
                               "jiffies64",
                               "get_prandom_u32",
                               "get_smp_processor_id",
                               "get_numa_node_id",
                               "tail_call",
                               "loop",
                               "spin_lock",
                               "spin_unlock",
                               "ringbuf_output",
                               "ringbuf_reserve",
                               "ringbuf_submit",
                               "ringbuf_discard",
                               "ringbuf_query",
                               "ringbuf_reserve_dynptr",
                               "ringbuf_submit_dynptr",
                               "ringbuf_discard_dynptr",
                               "user_ringbuf_drain",
                               "dynptr_from_mem",
                               "dynptr_read",
                               "dynptr_write",
                               "dynptr_data",
                               "kptr_xchg",
                               "strtol",
                               "strtoul",
                               "strncmp",
                               "snprintf",
                               "perf_event_output"};
static constexpr N h_timer[] = {"timer_init", "timer_set_callback", "timer_start", "timer_cancel"};
static constexpr N h_current[] = {
    "get_current_pid_tgid",           "get_current_uid_gid",     "get_current_comm",          "get_current_cgroup_id",
    "get_current_ancestor_cgroup_id", "get_ns_current_pid_tgid", "current_task_under_cgroup", "get_cgroup_classid"};
static constexpr N h_tracing_read[] = {"probe_read",
                                       "probe_read_str",
                                       "probe_read_user",
                                       "probe_read_user_str",
                                       "probe_read_kernel",
                                       "probe_read_kernel_str",
                                       "copy_from_user",
                                       "copy_from_user_task",
                                       "get_current_task",
                                       "get_current_task_btf",
                                       "task_pt_regs",
                                       "get_current_pid_tgid",
                                       "get_current_uid_gid",
                                       "get_current_comm",
                                       "get_current_cgroup_id",
                                       "get_current_ancestor_cgroup_id",
                                       "get_ns_current_pid_tgid",
                                       "current_task_under_cgroup",
                                       "get_stackid",
                                       "get_stack",
                                       "get_task_stack",
                                       "get_func_ip",
                                       "get_func_arg",
                                       "get_func_arg_cnt",
                                       "get_func_ret",
                                       "get_attach_cookie",
                                       "get_branch_snapshot",
                                       "read_branch_records",
                                       "perf_event_read",
                                       "perf_event_read_value",
                                       "perf_prog_read_value",
                                       "perf_event_output",
                                       "per_cpu_ptr",
                                       "this_cpu_ptr",
                                       "d_path",
                                       "find_vma",
                                       "sock_from_file",
                                       "snprintf_btf",
                                       "seq_printf",
                                       "seq_printf_btf",
                                       "seq_write",
                                       "task_storage_get",
                                       "task_storage_delete",
                                       "ktime_get_ns",
                                       "ktime_get_boot_ns",
                                       "ktime_get_coarse_ns",
                                       "get_smp_processor_id",
                                       "get_numa_node_id",
                                       "get_prandom_u32",
                                       "map_lookup_elem",
                                       "map_update_elem",
                                       "map_delete_elem",
                                       "map_lookup_percpu_elem",
                                       "for_each_map_elem",
                                       "tail_call",
                                       "loop",
                                       "strncmp",
                                       "snprintf",
                                       "ringbuf_output",
                                       "ringbuf_reserve",
                                       "ringbuf_submit",
                                       "ringbuf_discard",
                                       "ringbuf_query"};
static constexpr N h_tracing_write[] = {"probe_write_user", "override_return", "send_signal", "send_signal_thread"};
static constexpr N h_net[] = {"skb_store_bytes",    "skb_load_bytes",     "skb_load_bytes_relative",
                              "l3_csum_replace",    "l4_csum_replace",    "csum_diff",
                              "csum_update",        "csum_level",         "clone_redirect",
                              "redirect",           "redirect_map",       "redirect_neigh",
                              "redirect_peer",      "skb_vlan_push",      "skb_vlan_pop",
                              "skb_change_proto",   "skb_change_type",    "skb_change_tail",
                              "skb_change_head",    "skb_pull_data",      "skb_adjust_room",
                              "skb_ecn_set_ce",     "skb_set_tstamp",     "get_hash_recalc",
                              "set_hash",           "set_hash_invalid",   "get_route_realm",
                              "skb_get_tunnel_key", "skb_set_tunnel_key", "skb_get_tunnel_opt",
                              "skb_set_tunnel_opt", "skb_get_xfrm_state", "xdp_adjust_head",
                              "xdp_adjust_meta",    "xdp_adjust_tail",    "xdp_get_buff_len",
                              "xdp_load_bytes",     "xdp_store_bytes",    "fib_lookup",
                              "check_mtu",          "skb_cgroup_id",      "skb_ancestor_cgroup_id",
                              "skb_cgroup_classid", "skb_under_cgroup",   "get_cgroup_classid",
                              "get_socket_cookie",  "get_socket_uid",     "get_netns_cookie",
                              "skb_output",         "xdp_output"};
static constexpr N h_sockets[] = {"sk_lookup_tcp",
                                  "sk_lookup_udp",
                                  "skc_lookup_tcp",
                                  "sk_release",
                                  "sk_assign",
                                  "sk_fullsock",
                                  "tcp_sock",
                                  "get_listener_sock",
                                  "sk_storage_get",
                                  "sk_storage_delete",
                                  "sk_cgroup_id",
                                  "sk_ancestor_cgroup_id",
                                  "get_socket_cookie",
                                  "get_socket_uid",
                                  "get_netns_cookie",
                                  "tcp_check_syncookie",
                                  "tcp_gen_syncookie",
                                  "tcp_raw_gen_syncookie_ipv4",
                                  "tcp_raw_gen_syncookie_ipv6",
                                  "tcp_raw_check_syncookie_ipv4",
                                  "tcp_raw_check_syncookie_ipv6",
                                  "skc_to_tcp_sock",
                                  "skc_to_tcp6_sock",
                                  "skc_to_tcp_timewait_sock",
                                  "skc_to_tcp_request_sock",
                                  "skc_to_udp6_sock",
                                  "skc_to_unix_sock",
                                  "skc_to_mptcp_sock",
                                  "sk_select_reuseport",
                                  "sk_redirect_map",
                                  "sk_redirect_hash",
                                  "sock_map_update",
                                  "sock_hash_update",
                                  "msg_redirect_map",
                                  "msg_redirect_hash",
                                  "msg_apply_bytes",
                                  "msg_cork_bytes",
                                  "msg_pull_data",
                                  "msg_push_data",
                                  "msg_pop_data",
                                  "getsockopt",
                                  "setsockopt",
                                  "sock_ops_cb_flags_set",
                                  "load_hdr_opt",
                                  "store_hdr_opt",
                                  "reserve_hdr_opt",
                                  "bind"};
static constexpr N h_cgroup[] = {"get_local_storage",
                                 "cgrp_storage_get",
                                 "cgrp_storage_delete",
                                 "get_retval",
                                 "set_retval",
                                 "get_current_cgroup_id",
                                 "get_current_ancestor_cgroup_id",
                                 "get_current_uid_gid",
                                 "get_current_pid_tgid",
                                 "get_current_comm",
                                 "sysctl_get_name",
                                 "sysctl_get_current_value",
                                 "sysctl_get_new_value",
                                 "sysctl_set_new_value",
                                 "get_socket_cookie",
                                 "get_socket_uid",
                                 "get_netns_cookie",
                                 "sk_storage_get",
                                 "sk_storage_delete",
                                 "skb_load_bytes",
                                 "skb_load_bytes_relative",
                                 "skb_cgroup_id",
                                 "skb_ancestor_cgroup_id",
                                 "sk_cgroup_id",
                                 "sk_ancestor_cgroup_id"};
static constexpr N h_print[] = {"trace_printk", "trace_vprintk"};

// Commands: only useful to narrow.
static constexpr N c_token[] = {"map_create", "prog_load", "btf_load", "btf_get_fd_by_id"};
static constexpr N c_attach[] = {"link_create", "link_update", "link_detach",
                                 "prog_attach", "prog_detach", "raw_tracepoint_open"};
static constexpr N c_list[] = {"prog_get_next_id", "map_get_next_id",   "btf_get_next_id",
                               "link_get_next_id", "prog_get_fd_by_id", "map_get_fd_by_id",
                               "btf_get_fd_by_id", "link_get_fd_by_id", "prog_query"};

// Verifier features.
static constexpr N v_bpf[] = {"bpf2bpf_calls", "bounded_loops", "callbacks", "large_programs"};

// Capabilities.
static constexpr N k_net[] = {"bpf", "net_admin"};
static constexpr N k_tracing[] = {"bpf", "perfmon"};

using enum Dimension;
static constexpr BuiltinGroup groups[] = {
    {program_types, "tracing", "observe the kernel and programs", p_tracing},
    {program_types, "cgroup", "act on processes of a control group", p_cgroup},
    {program_types, "xdp", "packets before the network stack", p_xdp},
    {program_types, "tc", "packets in traffic control", p_tc},
    {program_types, "net", "packets and sockets of a network namespace", p_net},
    {program_types, "sockmap", "redirect between sockets", p_sockmap},
    {program_types, "lwt", "packets on a route", p_lwt},
    {map_types, "base", "the common key-value maps and the ring buffer", m_base},
    {map_types, "libbpf", "what most libbpf programs use", m_libbpf},
    {map_types, "tracing", "what tracing tools use", m_tracing},
    {map_types, "xdp", "redirect targets of XDP", m_xdp},
    {map_types, "sockmap", "maps that hold sockets", m_sockmap},
    {map_types, "storage", "values kept with a socket, inode, task or control group", m_storage},
    {map_types, "of_maps", "maps in maps", m_of_maps},
    {attach_types, "cgroup_skb", "packets of a control group, both ways", a_cgroup_skb},
    {attach_types, "cgroup_sock", "making, binding and closing sockets", a_cgroup_sock},
    {attach_types, "connect", "connect()", a_connect},
    {attach_types, "bind", "bind()", a_bind},
    {attach_types, "sockopt", "getsockopt() and setsockopt()", a_sockopt},
    {attach_types, "cgroup", "everything that attaches to a control group, but LSM", a_cgroup},
    {attach_types, "xdp", "interfaces, and redirects to devices and CPUs", a_xdp},
    {attach_types, "tc", "tcx and netkit", a_tc},
    {attach_types, "fentry", "entry and exit of kernel functions", a_fentry},
    {attach_types, "multi", "many kernel or user functions at once", a_multi},
    {attach_types, "sk_skb", "parsers and verdicts of socket maps", a_sk_skb},
    {helpers, "base", "own maps, clocks, random numbers, buffers, tail calls: harmless", h_base},
    {helpers, "timer", "timers on map values; they outlive a program's link", h_timer},
    {helpers, "current", "who runs now: process, user, control group", h_current},
    {helpers, "tracing_read", "read the kernel's and processes' memory; all that observing tools need", h_tracing_read},
    {helpers, "tracing_write", "change memory of processes, results of functions, send signals", h_tracing_write},
    {helpers, "net", "read, change, redirect packets", h_net},
    {helpers, "sockets", "look up, change, redirect sockets", h_sockets},
    {helpers, "cgroup", "what programs of control groups use", h_cgroup},
    {helpers, "print", "print to the shared trace log", h_print},
    {commands, "token", "the commands that a kernel token is for", c_token},
    {commands, "attach", "attach, replace and detach", c_attach},
    {commands, "list", "list and reopen one's own objects", c_list},
    {verifier, "bpf", "what present-day compilers produce", v_bpf},
    {capabilities, "net", "networking", k_net},
    {capabilities, "tracing", "tracing", k_tracing},
};

std::span<const BuiltinGroup> builtin_groups() { return groups; }

const BuiltinGroup* builtin_group(Dimension dimension, std::string_view name) {
    for (const auto& group : groups)
        if (group.dimension == dimension && group.name == name) return &group;
    return nullptr;
}

}  // namespace bpfwarden::grant
