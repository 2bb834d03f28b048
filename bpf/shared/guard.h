/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the guard's programs know, what they are asked to change, and what they tell of who tried something. */
#ifndef BPFWARDEN_GUARD_H
#define BPFWARDEN_GUARD_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Objects of bpf(), by their id. An id is given to one object only, as long as the machine runs. */
enum bw_sealed_kind { BW_SEALED_PROG = 1, BW_SEALED_MAP, BW_SEALED_LINK };
struct bw_sealed {
	__u32 kind; /* enum bw_sealed_kind */
	__u32 id;
};

/* A name in a bpffs, by what it leads to. */
struct bw_place {
	__u32 device; /* of the superblock, as the kernel has it */
	__u32 reserved;
	__u64 inode;
};

/* Who may change what is sealed. */
enum bw_updater {
	BW_UPDATER_NOBODY = 1, /* until the machine starts again */
	BW_UPDATER_CAPABILITY, /* who has CAP_MAC_ADMIN in the first user namespace */
	BW_UPDATER_DOMAIN,     /* who is in this domain of the policy */
};

struct bw_guard {
	__u32 armed;     /* 0: nothing is refused yet */
	__u32 updater;   /* enum bw_updater */
	__u32 domain;    /* with BW_UPDATER_DOMAIN */
	__u32 device;    /* of the guard's own bpffs */
	__u64 since;     /* CLOCK_BOOTTIME, ns */
	__u64 number;    /* of the last attempt that was told */
	__u64 lost;      /* attempts that the ring had no room for */
	__u32 changer;   /* process that changes something just now: until it is done, nobody else gets objects by id */
	__u32 guardian;  /* process that reads what is told, 0: none */
	__u64 guardian_start; /* 1/100 s since boot, as in /proc/PID/stat */
	__u64 changing_until; /* CLOCK_BOOTTIME, ns */
	__u32 detachable;     /* how many sealed links could be detached or updated: none of BPF LSM, all of cgroups */
	__u32 listed;         /* how many objects are sealed */
	__u32 places;         /* and names, and superblocks */
	__u32 devices;
	__u32 hostile; /* programs that could overrule the guard, seen when it was sealed */
	__u32 reserved;
	__u64 changer_task;   /* address of its struct task_struct, and when it started: it may have ended */
	__u64 changer_start;
	__u64 worker; /* address of the kernel's thread that does something for whoever changes something (kernel_links.bpf.c), while it does; else 0 */
};

/* For the program `change`, run by BPF_PROG_RUN; the answer is 0 or a negative errno. */
enum bw_change_what {
	BW_CHANGE_SEAL_OBJECT = 1, /* kind, id; value: BW_SEALED_* */
	BW_CHANGE_UNSEAL_OBJECT,
	BW_CHANGE_SEAL_PLACE,      /* device, value: the inode */
	BW_CHANGE_UNSEAL_PLACE,
	BW_CHANGE_SEAL_DEVICE,     /* device: all names there */
	BW_CHANGE_UNSEAL_DEVICE,
	BW_CHANGE_ARM,             /* kind: enum bw_updater, id: its domain, device: the guard's own bpffs */
	BW_CHANGE_DISARM,
	BW_CHANGE_BEGIN,           /* the caller begins to make things that are to be sealed */
	BW_CHANGE_END,
	BW_CHANGE_GUARDIAN,        /* id: its process, value: its start */
};
#define BW_CHANGE_SECONDS 300 /* from BW_CHANGE_BEGIN on nobody waits longer for its end */
struct bw_change {
	__u32 what;
	__u32 kind;
	__u32 id;
	__u32 device;
	__u64 value;
};

#define BW_SEALED_DETACHABLE 1 /* a link that whoever has its fd could detach or update */
#define BW_SEALED_OPEN       2 /* a program that everybody may have an fd of */
#define BW_SEALED_GUARDIAN   4 /* a map that the guard's process reads or keeps true: the policy's, and what attempts are told in */
#define BW_MAX_SEALED        8192

/* For the program `show`. */
struct bw_show {
	__u32 index;            /* of a sealed object */
	__u32 reserved;
	struct bw_guard guard;  /* the answer */
	struct bw_sealed thing; /* kind 0: there are no more */
};

/* A mount that must stay where it is: one with a sealed bpffs, or one that such a mount stands on, up to the root. How often it is each. */
#define BW_MAX_MOUNTS 16 /* on each other */
struct bw_kept_mount {
	__u32 own;
	__u32 below;
};
/* What such a mount is mounted on. */
struct bw_kept_point {
	__u64 parent; /* address of struct mount */
	__u64 count;
};

/* What was tried. */
enum bw_act {
	BW_ACT_NONE,
	BW_ACT_UNLINK,
	BW_ACT_RMDIR,
	BW_ACT_RENAME,
	BW_ACT_UMOUNT,
	BW_ACT_MOVE_MOUNT,
	BW_ACT_MOUNT,
	BW_ACT_PIVOT_ROOT,
	BW_ACT_BPF,       /* detail: the command */
	BW_ACT_GET_PROG,  /* an fd for it */
	BW_ACT_GET_MAP,
	BW_ACT_SYSCTL,
	BW_ACT_CHANGE,    /* detail: enum bw_change_what */
	BW_ACT_LOCKDOWN,  /* detail: the kernel's enum lockdown_reason */
	BW_ACT_MODULE,
	BW_ACT_PTRACE,
	BW_ACT_SIGNAL,    /* detail: its number */
	BW_ACT_LIMIT,
	BW_ACT_REMOUNT,
	BW_ACTS
};

#define BW_TAMPER_TEXTS 2
enum bw_tamper_text { BW_TAMPER_EXE, BW_TAMPER_TARGET };
#define BW_TAMPER_TEXT_ROOM 2048
struct bw_tamper {
	__u64 number;
	__u64 time;       /* CLOCK_BOOTTIME, ns */
	__u64 start_time; /* of the process, likewise */
	__u64 cgroup;
	__u32 act;        /* enum bw_act */
	__u32 detail;
	__u32 kind, id;   /* of the object; 0: it is about none */
	__u32 pid, tid, uid, gid;
	__u32 userns;
	__u32 exe_device;
	__u64 exe_inode;
	__u32 device;     /* of the target */
	__u32 peer_pid;   /* of ptrace and signals */
	__u64 inode;
	char comm[16];
	__u16 texts[BW_TAMPER_TEXTS]; /* lengths: what follows, paths from the root of their file systems */
	__u16 reserved[2];
};
#define BW_TAMPER_MAX (sizeof(struct bw_tamper) + BW_TAMPER_TEXT_ROOM)

#ifdef __cplusplus
static_assert(sizeof(bw_sealed) == 8 && sizeof(bw_place) == 16 && sizeof(bw_guard) == 112 && sizeof(bw_change) == 24 && sizeof(bw_show) == 128 && sizeof(bw_tamper) == 120);
#else
_Static_assert(sizeof(struct bw_sealed) == 8 && sizeof(struct bw_place) == 16 && sizeof(struct bw_guard) == 112 && sizeof(struct bw_change) == 24 && sizeof(struct bw_show) == 128 &&
	       sizeof(struct bw_tamper) == 120, "the same for everybody");
#endif
#endif
