// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Two programs with all that libbpf changes before it loads them: maps, global data, a function of their own that both
// call, and CO-RE. Hook: the tracepoint syscalls/sys_enter_getppid. Maps:
// first, second (array of one), .rodata, .bss. Kernel floor: 6.1.
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct task_struct {
    int tgid;
} __attribute__((preserve_access_index));

struct one_counter {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
};
struct one_counter first SEC(".maps");
struct one_counter second SEC(".maps");

const volatile __u32 wanted = 1;
__u64 seen;

static __attribute__((noinline)) int count(void* map) {
    __u32 key = 0;
    __u64* value = bpf_map_lookup_elem(map, &key);

    if (value) __sync_fetch_and_add(value, 1);
    return bpf_core_field_exists(struct task_struct, tgid);
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int count_first(void* context) {
    struct task_struct* task = (void*)bpf_get_current_task();

    (void)context;
    if (BPF_CORE_READ(task, tgid) == (int)wanted) __sync_fetch_and_add(&seen, 1);
    return count(&first);
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int count_second(void* context) {
    (void)context;
    return count(&second) + count(&first);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
