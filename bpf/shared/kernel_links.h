/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a thread of the kernel is asked to do: to load programs of BPF LSM and link them, or to close such links. */
#ifndef BPFWARDEN_KERNEL_LINKS_H
#define BPFWARDEN_KERNEL_LINKS_H

#ifndef __VMLINUX_H__
#include <linux/bpf.h>
#include <linux/types.h>
#endif

#define BW_BATCH_LINKS 128
#define BW_BATCH_MAPS  64

enum bw_batch_what { BW_BATCH_HOLD = 1, BW_BATCH_RELEASE };

/* Where it came to, for who asks why it went no further. */
enum bw_batch_step { BW_BATCH_NOTHING, BW_BATCH_OPEN_MAP, BW_BATCH_LOAD_BTF, BW_BATCH_LOAD_PROGRAM, BW_BATCH_LINK };

struct bw_batch_link {
	/* A program: offsets in the bytes that go with the batch. */
	__u32 instructions, instruction_count;
	__u32 functions, function_count, function_size; /* struct bpf_func_info */
	__u32 attach_btf_id, flags;
	char name[BPF_OBJ_NAME_LEN];
	/* Its link: the answer, or what is to be released. */
	__s32 fd; /* in the table that the threads of the kernel share */
	__u32 link, program;
};

struct bw_batch {
	__u32 what; /* enum bw_batch_what */
	__u32 links, maps;
	__u32 btf, btf_size; /* offset and size of the programs' types */
	__u32 license;       /* offset */
	__u32 map_ids[BW_BATCH_MAPS];
	__s32 map_fds[BW_BATCH_MAPS]; /* as the thread has opened them */
	union bpf_attr attr;          /* of the command that it is at */
	/* The answer. */
	__s32 error; /* a negative errno */
	__u32 step;  /* enum bw_batch_step */
	__u32 index; /* of the map or link it is about */
	__u32 done;
	struct bw_batch_link link[BW_BATCH_LINKS];
};
#endif
