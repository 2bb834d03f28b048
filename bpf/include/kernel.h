/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, as far as these programs read them. Every access is relocated by the BTF of the kernel that runs (CO-RE), so only
 * names and kinds matter here, not order or size. Written by hand: a dump of one kernel's types would be 100,000 lines, of that kernel.
 */
#ifndef BPFWARDEN_KERNEL_H
#define BPFWARDEN_KERNEL_H

/* What <linux/types.h> and <linux/bpf.h> have; they are not the kernel's own types, and fit. */
#include <linux/bpf.h>
#include <linux/types.h>
#define __VMLINUX_H__

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

typedef _Bool bool;
#define true 1
#define false 0
#ifndef NULL
#define NULL ((void *)0)
#endif

#define EPERM  1
#define ENOENT 2
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EBUSY  16
#define EINVAL 22
#define ENOSPC 28

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { int counter; } atomic_t;
typedef struct { long long counter; } atomic64_t;
typedef unsigned int fmode_t;
typedef struct { unsigned int val; } kuid_t;
typedef struct { unsigned int val; } kgid_t;
typedef struct { __u64 val; } kernel_cap_t;

struct seqcount { unsigned int sequence; };

struct qstr {
	unsigned int len;
	const unsigned char *name;
};

struct file_system_type { const char *name; };
struct user_namespace;
struct ns_common { unsigned int inum; };
struct user_namespace {
	struct ns_common ns;
	int level;
};

enum lockdown_reason { LOCKDOWN_DEBUGFS = 1, LOCKDOWN_INTEGRITY_MAX };
enum kernel_read_file_id { READING_KEXEC_IMAGE = 1, READING_KEXEC_INITRAMFS };

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	struct file_system_type *s_type;
	struct user_namespace *s_user_ns;
	struct dentry *s_root;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	__u32 i_generation;
	kuid_t i_uid;
	unsigned int i_nlink;
	struct super_block *i_sb;
};

struct dentry {
	unsigned int d_flags;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct mnt_namespace;
struct list_head { struct list_head *next; };

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
	struct list_head mnt_mounts, mnt_child; /* what is mounted on it, and its place in its parent's */
	struct list_head mnt_share;		/* the ring of its peers */
	int mnt_group_id;
	struct mount *mnt_master;
};

struct cred {
	kuid_t uid, euid, fsuid;
	kgid_t gid, egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_mode;
	unsigned int f_flags;
	const struct cred *f_cred;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	atomic_t count;
	struct fdtable *fdt;
};

struct kernfs_node {
	__u64 id;
	const char *name;
	struct kernfs_node *parent;
};
struct kernfs_node___since_6_15 { struct kernfs_node *__parent; };

struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };

struct fs_struct { struct path root, pwd; };
struct mm_struct { struct file *exe_file; };
struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};
struct bpf_local_storage_data {
	void *smap;
	__u8 data[];
};
struct hlist_node { struct hlist_node *next; };
struct hlist_head { struct hlist_node *first; };
struct bpf_local_storage_elem {
	struct hlist_node snode;
	struct bpf_local_storage_data sdata;
};
struct bpf_local_storage {
	struct bpf_local_storage_data *cache[16];
	struct hlist_head list;
};
struct bpf_local_storage_map { __u16 cache_idx; };
struct bpf_array { char value[0]; };
struct io_uring_task;
struct core_state;
struct signal_struct { struct core_state *core_state; };
struct nsproxy { struct mnt_namespace *mnt_ns; };

struct task_struct {
	int pid, tgid;
	__u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader, *real_parent;
	const struct cred *cred, *real_cred;
	struct css_set *cgroups;
	struct fs_struct *fs;
	struct files_struct *files;
	struct mm_struct *mm;
	struct bpf_local_storage *bpf_storage;
	struct nsproxy *nsproxy;
	unsigned int flags, ptrace;
	struct io_uring_task *io_uring;
	struct signal_struct *signal;
};

struct linux_binprm {
	struct file *file;
	struct cred *cred;
	const char *filename, *interp;
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_flags;
	struct file *vm_file;
	void *anon_vma;
};

struct iattr { unsigned int ia_valid; };

struct sockaddr { unsigned short sa_family; };
struct in_addr { __u32 s_addr; };
struct in6_addr { union { __u8 u6_addr8[16]; __u32 u6_addr32[4]; } in6_u; };
struct sockaddr_in {
	unsigned short sin_family;
	__u16 sin_port;
	struct in_addr sin_addr;
};
struct sockaddr_in6 {
	unsigned short sin6_family;
	__u16 sin6_port;
	struct in6_addr sin6_addr;
};
struct msghdr {
	void *msg_name;
	int msg_namelen;
};
struct sock_common {
	unsigned short skc_family;
	__u32 skc_rcv_saddr;
	__u16 skc_num;
	struct in6_addr skc_v6_rcv_saddr;
};
struct sock { struct sock_common __sk_common; };
struct socket {
	short type;
	struct sock *sk;
};
struct kernel_siginfo;
struct fown_struct;
struct perf_event_attr { __u64 sigtrap : 1; };
struct hw_perf_event { struct task_struct *target; };
struct perf_event {
	struct perf_event_attr attr;
	struct hw_perf_event hw;
};
struct fs_context;
struct mnt_idmap;
struct bpf_map {
	__u32 id;
	atomic64_t usercnt;
};
struct bpf_prog_aux {
	__u32 id;
	struct bpf_prog *dst_prog;
	bool kprobe_write_ctx;
};
struct bpf_prog {
	enum bpf_prog_type type;
	enum bpf_attach_type expected_attach_type;
	struct bpf_prog_aux *aux;
};
struct bpf_link {
	__u32 id;
	struct bpf_prog *prog;
};

#pragma clang attribute pop

#endif
