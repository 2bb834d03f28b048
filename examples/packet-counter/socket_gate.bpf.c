// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Lets a cgroup connect over IPv4 only to 127.0.0.1: a cgroup program, which a packet counter's grant does not allow.
// Hook: cgroup/connect4. No maps. Kernel floor: 5.8.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int gate_connect(struct bpf_sock_addr *ctx)
{
	return ctx->user_ip4 == bpf_htonl(0x7f000001);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
