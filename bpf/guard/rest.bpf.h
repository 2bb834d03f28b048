/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs of the usual kind, held by their pins in the guard's own bpffs: for hooks that the core has no room for. They return 0 or an error. */
#ifndef BPFWARDEN_GUARD_REST_BPF_H
#define BPFWARDEN_GUARD_REST_BPF_H

#include "core.bpf.h"

/* --- names: the guard's own, and those of others that were asked for */

static __always_inline bool bw_is_sealed_name(struct dentry *dentry)
{
	struct super_block *sb = dentry->d_sb;
	__u32 device = sb->s_dev;
	struct bw_place place = {};

	if (sb->s_magic != BPF_FS_MAGIC)
		return false;
	if (bpf_map_lookup_elem(&devices, &device))
		return true;
	place.device = device;
	place.inode = BPF_CORE_READ(dentry, d_inode, i_ino);
	return place.inode && bpf_map_lookup_elem(&places, &place);
}

/*
 * In a mount namespace where nothing is mounted on it, a directory can be removed, renamed or replaced, and what is mounted on it in others is
 * unmounted then.
 */
static __always_inline bool bw_is_mountpoint(struct dentry *dentry)
{
	__u64 address = (__u64)dentry;

	return bpf_map_lookup_elem(&mountpoints, &address) != NULL;
}

static __noinline int bw_refuse_name(struct dentry *dentry, __u32 act)
{
	struct bw_attempt attempt = {.act = act, .dentry = dentry};

	return bw_refuse(&attempt);
}

#define S_IFMT	0170000
#define S_IFDIR 0040000

/* All that bpffs are mounted on are directories, as are those that these stand on. */
static __always_inline bool bw_is_directory(struct dentry *dentry)
{
	struct inode *inode = dentry->d_inode;

	return inode && (inode->i_mode & S_IFMT) == S_IFDIR;
}

static __noinline int bw_keep_name(struct dentry *dentry, __u32 act)
{
	bool kept = bw_is_directory(dentry) && bw_is_mountpoint(dentry);

	return !kept && !bw_is_sealed_name(dentry) ? 0 : bw_refuse_name(dentry, act);
}

SEC("?lsm/inode_unlink")
int BPF_PROG(rest_unlink, struct inode *directory, struct dentry *dentry)
{
	return bw_is_sealed_name(dentry) ? bw_refuse_name(dentry, BW_ACT_UNLINK) : 0;
}

SEC("?lsm/inode_rmdir")
int BPF_PROG(rest_rmdir, struct inode *directory, struct dentry *dentry)
{
	return bw_keep_name(dentry, BW_ACT_RMDIR);
}

/* What is renamed, and what is replaced. */
SEC("?lsm/inode_rename")
int BPF_PROG(rest_rename, struct inode *from, struct dentry *dentry, struct inode *to, struct dentry *replaced)
{
	int refused;

	/* What nearly every rename is. */
	if (dentry->d_sb->s_magic != BPF_FS_MAGIC && !bw_is_directory(dentry) && !bw_is_directory(replaced))
		return 0;
	refused = bw_keep_name(dentry, BW_ACT_RENAME);
	return refused ? refused : bw_keep_name(replaced, BW_ACT_RENAME);
}

/* --- the kernel */

/*
 * All that could write to the kernel's memory behind every check, as lockdown=integrity has it: modules without a signature, kexec, hibernation,
 * /dev/mem, MSRs, ports, PCI and ACPI, memory written by BPF (of the updater, which would run what is written). But debugfs, where nothing
 * disarms and much is traced.
 */
SEC("?lsm/locked_down")
int BPF_PROG(rest_locked_down, int what)
{
	struct bw_attempt attempt = {.act = BW_ACT_LOCKDOWN, .detail = what};

	if (what <= 0 || what >= bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_INTEGRITY_MAX) ||
	    what == bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_DEBUGFS))
		return 0;
	return bw_refuse(&attempt);
}

/* Another kernel: with a signature or without. */
static __always_inline int bw_keep_kernel(int id)
{
	struct bw_attempt attempt = {.act = BW_ACT_MODULE, .detail = id};

	if (id != bpf_core_enum_value(enum kernel_read_file_id, READING_KEXEC_IMAGE) &&
	    id != bpf_core_enum_value(enum kernel_read_file_id, READING_KEXEC_INITRAMFS))
		return 0;
	return bw_refuse(&attempt);
}

SEC("?lsm/kernel_read_file")
int BPF_PROG(rest_read_file, struct file *file, int id)
{
	return bw_keep_kernel(id);
}

/* Of the kernel's own mounts: the bpffs would be read-only to its owner, too. */
SEC("?lsm/sb_remount")
int BPF_PROG(rest_remount, struct super_block *sb)
{
	__u32 device = sb->s_dev;
	struct bw_attempt attempt = {.act = BW_ACT_REMOUNT};

	if (sb->s_magic != BPF_FS_MAGIC || !bpf_map_lookup_elem(&devices, &device))
		return 0;
	attempt.dentry = sb->s_root;
	return bw_refuse(&attempt);
}

/* --- processes that may change something, and the one that reads what is told */

static __always_inline bool bw_is_protected(struct task_struct *task)
{
	struct bw_guard *state = bw_guard();
	struct bw_task *of;

	if (!state || !state->armed)
		return false;
	if (bw_is_guardian(state, task))
		return true;
	if (state->updater != BW_UPDATER_DOMAIN || !task->bpf_storage)
		return false;
	of = bpf_task_storage_get(&tasks, task, 0, 0);
	return of && of->domain == state->domain;
}

static __always_inline int bw_keep_task(struct task_struct *task, __u32 act, __u32 detail)
{
	struct bw_attempt attempt = {.act = act, .detail = detail};

	if (task->tgid == bpf_get_current_task_btf()->tgid || !bw_is_protected(task))
		return 0;
	attempt.peer_pid = task->tgid;
	return bw_refuse(&attempt);
}

#define PTRACE_MODE_ATTACH    0x02
#define PTRACE_MODE_REALCREDS 0x10
#define PF_KTHREAD	      0x00200000
#define SIGTRAP		   5
#define SIGIO		   29

/*
 * A thread of the kernel has no memory and cannot be traced; what is left to ask for with these two is a copy of an fd of theirs, and while the
 * updater changes something, these have the policy's maps open (kernel_links.bpf.c). Reading their stacks in /proc is asked for otherwise.
 */
static __always_inline bool bw_is_for_kernels_fd(const struct task_struct *child, unsigned int mode)
{
	return child->flags & PF_KTHREAD && mode & PTRACE_MODE_ATTACH && mode & PTRACE_MODE_REALCREDS;
}

SEC("?lsm/ptrace_access_check")
int BPF_PROG(rest_ptrace, struct task_struct *child, unsigned int mode)
{
	struct bw_attempt attempt = {.act = BW_ACT_PTRACE, .detail = mode};

	if (bw_is_for_kernels_fd(child, mode)) {
		attempt.peer_pid = child->tgid;
		return bw_refuse(&attempt);
	}
	return mode & PTRACE_MODE_ATTACH ? bw_keep_task(child, BW_ACT_PTRACE, mode) : 0;
}

SEC("?lsm/ptrace_traceme")
int BPF_PROG(rest_traceme, struct task_struct *parent)
{
	struct bw_attempt attempt = {.act = BW_ACT_PTRACE};

	if (!bw_is_protected(bpf_get_current_task_btf()))
		return 0;
	attempt.peer_pid = parent->tgid;
	bw_tell(&attempt);
	return -EPERM;
}

/* The service manager may stop it: nothing that is in force needs it. */
SEC("?lsm/task_kill")
int BPF_PROG(rest_kill, struct task_struct *task, struct kernel_siginfo *info, int number)
{
	if ((__u64)info == 1 || !number || bpf_get_current_task_btf()->tgid == 1)
		return 0;
	return bw_keep_task(task, BW_ACT_SIGNAL, number);
}

SEC("?lsm/task_setscheduler")
int BPF_PROG(rest_scheduler, struct task_struct *task)
{
	return bw_keep_task(task, BW_ACT_LIMIT, 0);
}

SEC("?lsm/task_setnice")
int BPF_PROG(rest_nice, struct task_struct *task, int nice)
{
	return bw_keep_task(task, BW_ACT_LIMIT, nice);
}

SEC("?lsm/task_setrlimit")
int BPF_PROG(rest_limit, struct task_struct *task, unsigned int resource)
{
	return bw_keep_task(task, BW_ACT_LIMIT, resource);
}

SEC("?lsm/task_setioprio")
int BPF_PROG(rest_ioprio, struct task_struct *task, int priority)
{
	return bw_keep_task(task, BW_ACT_LIMIT, priority);
}

/*
 * Two ways to a signal that do not ask task_kill: fcntl(F_SETOWN, F_SETSIG) has any signal sent when a file becomes readable, and perf has SIGTRAP
 * sent when it has counted. Whoever makes the file readable is perhaps not who asked for the signal: it is refused whoever that is, and the
 * number is 0 for SIGIO.
 */
SEC("?lsm/file_send_sigiotask")
int BPF_PROG(rest_sigio, struct task_struct *task, struct fown_struct *owner, int number)
{
	struct bw_attempt attempt = {.act = BW_ACT_SIGNAL, .detail = number ? number : SIGIO};

	if (!bw_is_protected(task))
		return 0;
	attempt.peer_pid = task->tgid;
	bw_tell(&attempt);
	return -EPERM;
}

SEC("?lsm/perf_event_alloc")
int BPF_PROG(rest_perf, struct perf_event *event)
{
	struct task_struct *task = event->hw.target;

	if (!task || !BPF_CORE_READ_BITFIELD(event, attr.sigtrap))
		return 0;
	return bw_keep_task(task, BW_ACT_SIGNAL, SIGTRAP);
}
#endif
