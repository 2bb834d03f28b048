// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts the packets and bytes that arrive at an interface.
// Hook: xdp. Maps: packet_counts (array of one). Kernel floor: 5.18 (bpf_xdp_get_buff_len;
// without CAP_PERFMON the verifier refuses data_end - data, a subtraction of pointers).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct counts {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} packet_counts SEC(".maps");

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct counts *counts = bpf_map_lookup_elem(&packet_counts, &key);

	if (counts) {
		__sync_fetch_and_add(&counts->packets, 1);
		__sync_fetch_and_add(&counts->bytes, bpf_xdp_get_buff_len(ctx));
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
