/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the policy's programs tell, and the small state that user space and they share. */
#ifndef BPFWARDEN_POLICY_EVENT_H
#define BPFWARDEN_POLICY_EVENT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* One word of it decides which image is in force; all else is counts. In a map of its own, which user space writes. */
struct bw_control {
	__u64 rollback_at;  /* CLOCK_BOOTTIME ns: from then on the image before is in force again; 0: never */
	__u32 mounts;       /* counts changes of where file systems are mounted: what is kept about directories is void then */
	__u32 newest;       /* the last generation that was put in force here: the next has a greater one */
	__u32 object_kinds; /* bits of BW_PIN_*: what is read of each file that is opened, for rules by label */
	__u32 reserved;
	__u64 secret;       /* random: whoever makes names cannot tell what is kept about them by which check */
	__u64 lost_denials; /* events that the rings had no room for */
	__u64 lost_others;
	__u64 blind;        /* names that could not be told */
	__u64 label_domains[4]; /* domains with rules by label: what is read of each file that they open */
	__u64 exec_domains[4][4]; /* for each BW_PIN_*, domains with ways out that go by it: what is read of each file that they execute */
};

/*
 * Where a superblock is mounted in the policy's mount namespace. An image is found by its generation. The kernel uses an element of a hash map
 * again while it is still being read, so a place says itself which superblock it is of.
 */
#define BW_MOUNTED_IMAGES 4
#define BW_MOUNTED_TEXT   184
struct bw_mounted {
	struct {
		__u32 generation;
		__u32 state;
		__u64 check; /* bw_mounted_check() */
	} in[BW_MOUNTED_IMAGES];
	__u32 device;
	__u16 length;
	char text[BW_MOUNTED_TEXT]; /* "" for "/"; "/tmp" */
	__u16 reserved;
};

static inline __u64 bw_mounted_check(__u32 device, __u32 generation, __u32 state)
{
	__u64 h = device;

	h = (h << 32 ^ state ^ 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
	return (h ^ (h >> 31) ^ generation) * 0x94d049bb133111ebull;
}

/* A task that is in a domain. */
struct bw_task {
	__u32 domain;
	__u32 next; /* during exec: the domain afterwards, +1 */
	__u32 traced; /* it came in under a tracer, who could have changed it since: it is not who the domain is for */
};

enum bw_hook {
	BW_HOOK_NONE,
	BW_HOOK_FILE_OPEN,
	BW_HOOK_FILE_TRUNCATE,
	BW_HOOK_PATH_TRUNCATE,
	BW_HOOK_PATH_MKNOD,
	BW_HOOK_PATH_MKDIR,
	BW_HOOK_PATH_SYMLINK,
	BW_HOOK_PATH_UNLINK,
	BW_HOOK_PATH_RMDIR,
	BW_HOOK_PATH_RENAME,
	BW_HOOK_PATH_LINK,
	BW_HOOK_PATH_CHMOD,
	BW_HOOK_PATH_CHOWN,
	BW_HOOK_PATH_CHROOT,
	BW_HOOK_INODE_SETXATTR,
	BW_HOOK_INODE_REMOVEXATTR,
	BW_HOOK_INODE_SET_ACL,
	BW_HOOK_INODE_REMOVE_ACL,
	BW_HOOK_BPRM_CHECK_SECURITY,
	BW_HOOK_MMAP_FILE,
	BW_HOOK_FILE_MPROTECT,
	BW_HOOK_SB_MOUNT,
	BW_HOOK_SB_UMOUNT,
	BW_HOOK_MOVE_MOUNT,
	BW_HOOK_SB_PIVOTROOT,
	BW_HOOK_SOCKET_CREATE,
	BW_HOOK_SOCKET_BIND,
	BW_HOOK_SOCKET_CONNECT,
	BW_HOOK_SOCKET_SENDMSG,
	BW_HOOK_SOCKET_LISTEN,
	BW_HOOK_SOCKET_ACCEPT,
	BW_HOOK_PTRACE_ACCESS_CHECK,
	BW_HOOK_PTRACE_TRACEME,
	BW_HOOK_TASK_KILL,
	BW_HOOK_CAPABLE,
	BW_HOOK_BPF,
	BW_HOOK_PERF_EVENT_OPEN,
	BW_HOOK_KERNEL_MODULE,
	BW_HOOK_USERNS_CREATE,
	BW_HOOK_URING,
	BW_HOOKS
};

#define BW_TOLD_DENIED  1
#define BW_TOLD_WARNED  2 /* would have been denied, if the rule or policy were not in audit mode */
#define BW_TOLD_AUDITED 3 /* permitted, and an audit rule wants to know */
#define BW_TOLD_ENTERED 4 /* a domain, by exec */

#define BW_EVENT_BLIND     (1u << 0) /* the name could not be told, or not in time */
#define BW_EVENT_DELETED   (1u << 1) /* the name was deleted */
#define BW_EVENT_DETACHED  (1u << 2) /* the path is from the root of its file system, and begins with its type */
#define BW_EVENT_CUT       (1u << 3) /* a text did not fit */
#define BW_EVENT_IN_KERNEL (1u << 4) /* done by the kernel on the process's behalf (an overlay's own files) */

#define BW_EVENT_GAINS     (1u << 5) /* the new name would permit what the old one does not */

#define BW_EVENT_PARENTS 4
#define BW_EVENT_TEXTS   5
enum bw_text { BW_TEXT_PATH, BW_TEXT_SECOND, BW_TEXT_EXE, BW_TEXT_CWD, BW_TEXT_ROOT };
#define BW_EVENT_TEXT_ROOM 5120 /* of all: what a task keeps must fit 8 KiB (7.2) */

/* The fixed part; the texts follow, in the order of enum bw_text, none with a final zero. */
struct bw_event {
	__u64 number;      /* of this processor, in this ring: a gap is a loss */
	__u64 time;        /* CLOCK_BOOTTIME, ns */
	__u32 cpu;
	__u16 hook;        /* enum bw_hook */
	__u8 told;         /* BW_TOLD_* */
	__u8 flags;        /* BW_EVENT_* */
	__u32 generation;
	__u32 domain;
	__u64 ops;         /* asked for */
	__u64 decided;     /* of these: those that it is told for */
	__u32 rule;        /* number of the rule; 0: the default */
	__u32 peer_domain; /* of ptrace and signals; BW_TOLD_ENTERED: the domain before */

	__u32 pid, tid, uid, gid;
	__u64 start_time;  /* of the process, CLOCK_BOOTTIME ns */
	__u64 cgroup;
	__u32 userns;      /* inode number, as in /proc/PID/ns/user */
	__u32 exe_device;
	__u64 exe_inode;
	char comm[16];
	struct {
		__u32 pid;
		char comm[16];
	} parents[BW_EVENT_PARENTS]; /* nearest first; pid 0: no more */

	__u32 device;      /* of the target */
	__u32 mode;        /* type and permissions */
	__u64 inode;
	__u32 inode_generation;
	__u32 peer_pid;    /* of ptrace and signals */
	__u32 detail;      /* O_* of an open, mode of what is made, PROT_* of a mapping, signal, capability, bpf command, … */
	__u16 family;
	__u16 port;
	__u8 address[16];
	__u16 texts[BW_EVENT_TEXTS]; /* lengths */
	__u16 reserved[3];
};
#define BW_EVENT_MAX (sizeof(struct bw_event) + BW_EVENT_TEXT_ROOM)

#ifdef __cplusplus
static_assert(sizeof(bw_control) == 216 && sizeof(bw_mounted) == 256 && sizeof(bw_event) == 264);
#else
_Static_assert(sizeof(struct bw_control) == 216 && sizeof(struct bw_mounted) == 256 &&
	       sizeof(struct bw_event) == 264, "the same for everybody");
#endif
#endif
