// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Drops packets by source network: what a packet counter's grant does not allow, since it needs an lpm_trie map.
// Hook: xdp. Maps: blocked (lpm_trie). Kernel floor: 5.8.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct network {
	__u32 prefix_length;
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, struct network);
	__type(value, __u8);
} blocked SEC(".maps");

SEC("xdp")
int filter_packets(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct network source = {.prefix_length = 32};

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	source.address = ip->saddr;
	return bpf_map_lookup_elem(&blocked, &source) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
