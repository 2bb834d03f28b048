// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One of everything that a compiler puts into an instruction stream and a grant may ask about: for objects_test.cpp,
// which only reads it. Hook: none that matters. Maps: counts, .rodata, .bss. Kernel floor: it is never loaded.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

const volatile __u32 limit = 5;
__u64 total;

extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
extern const int runqueues __ksym __weak;

static __noinline __u64 add(__u64 a, __u64 b) { return a * 3 + b; }

static int each(__u32 index, void* context) {
    *(__u64*)context += add(index, limit);
    return 0;
}

SEC("socket")
int straight(struct __sk_buff* skb) {
    __u32 key = skb->len;
    __u64* count = bpf_map_lookup_elem(&counts, &key);

    if (count) __sync_fetch_and_add(count, 1);
    return 0;
}

SEC("socket")
int calls(struct __sk_buff* skb) {
    __u64 sum = bpf_ktime_get_ns();

    bpf_loop(limit, each, &sum, 0);
    total = add(sum, skb->len);
    return 0;
}

SEC("socket")
int loops(struct __sk_buff* skb) {
    __u64 sum = 0;

    for (__u32 i = 0; i < skb->len && i < limit; i++) sum += bpf_get_prandom_u32();
    total = sum;
    return 0;
}

SEC("socket")
int kernel(struct __sk_buff* skb) {
    bpf_rcu_read_lock();
    total = (__u64)&runqueues;
    bpf_rcu_read_unlock();
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
