/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Somebody's policies, as they are usually written: what they refuse is in maps, and they are held by pins. */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block {
    __u32 s_dev;
};
struct inode {
    unsigned long i_ino;
    struct super_block* i_sb;
};
struct file {
    struct inode* f_inode;
};
#pragma clang attribute pop

struct place {
    __u64 ino, dev;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct place);
    __type(value, __u32);
} refused SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} verdict SEC(".maps");

/* A global variable, so in a map that can be mapped. */
volatile int enforcing = 1;

__attribute__((noinline)) int is_refused(__u64 ino, __u64 dev) {
    struct place key = {.ino = ino, .dev = dev};
    __u32* value = bpf_map_lookup_elem(&refused, &key);

    return value && *value;
}

SEC("lsm/file_open")
int BPF_PROG(foreign_open, struct file* file) {
    if (enforcing && is_refused(BPF_CORE_READ(file, f_inode, i_ino), BPF_CORE_READ(file, f_inode, i_sb, s_dev)))
        bpf_tail_call(ctx, &verdict, 0);
    return 0;
}

SEC("lsm/file_open")
int BPF_PROG(foreign_refuse, struct file* file) { return -EPERM; }

/* Nobody connects to 127.0.0.77. */
SEC("cgroup/connect4")
int foreign_connect(struct bpf_sock_addr* addr) { return addr->user_ip4 != bpf_htonl(0x7f00004d); }

/* Nobody writes a sysctl whose name begins with "kernel/printk". */
SEC("cgroup/sysctl")
int foreign_sysctl(struct bpf_sysctl* sysctl) {
    char name[64] = {};

    if (!sysctl->write || bpf_sysctl_get_name(sysctl, name, sizeof(name), 0) < 0) return 1;
    return bpf_strncmp(name, 13, "kernel/printk") != 0;
}

SEC("lsm_cgroup/file_open")
int BPF_PROG(foreign_open_in, struct file* file) {
    if (!is_refused(BPF_CORE_READ(file, f_inode, i_ino), BPF_CORE_READ(file, f_inode, i_sb, s_dev))) return 1;
    /* Otherwise clang makes arithmetic of it, whose range verifiers do not follow. */
    barrier();
    return 0;
}

/* No program is measured. */
SEC("lsm/bpf")
int BPF_PROG(foreign_bpf, int cmd) {
    if (cmd != BPF_ENABLE_STATS) return 0;
    return -EPERM;
}
