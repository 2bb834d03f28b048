// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Nobody opens the files that are listed in a map: a policy of somebody who has never heard of bpfwarden. Loaded by
//
//   bpftool prog loadall file_lock.bpf.o /sys/fs/bpf/file_lock pinmaps /sys/fs/bpf/file_lock autoattach
//   bpftool map update pinned /sys/fs/bpf/file_lock/locked key hex … value 1     (examples/demo/demo-guard has the key)
//
// Hook: lsm/file_open. Maps: locked (hash). Kernel floor: 5.7.
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block {
	__u32 s_dev;
};
struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};
struct file {
	struct inode *f_inode;
};
#pragma clang attribute pop

struct place {
	__u64 inode;
	__u64 device;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct place);
	__type(value, __u8);
} locked SEC(".maps");

SEC("lsm/file_open")
int BPF_PROG(file_lock, struct file *file)
{
	struct place place = {
		.inode = BPF_CORE_READ(file, f_inode, i_ino),
		.device = BPF_CORE_READ(file, f_inode, i_sb, s_dev),
	};

	return bpf_map_lookup_elem(&locked, &place) ? -EPERM : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
