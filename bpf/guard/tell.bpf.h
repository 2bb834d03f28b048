/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Attempts. Each is one record, numbered before it is known whether there is room: a hole is a loss. Texts are for people, and decide nothing. */
#ifndef BPFWARDEN_GUARD_TELL_BPF_H
#define BPFWARDEN_GUARD_TELL_BPF_H

#include "state.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} tampers SEC(".maps");

#define BW_MAX_DEPTH 64
struct bw_telling {
	struct bw_tamper event;
	char text[BW_TAMPER_TEXT_ROOM]; /* right behind the event: both are one record */
	__u32 at, left;
	__u64 dentry;
	__u64 roots[BW_TAMPER_TEXTS];
	__u64 dentries[BW_MAX_DEPTH];
};
/* With the task: programs are preemptible, and another task would write over what is in a map by processor. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_telling);
} guard_tellings SEC(".maps");

struct bw_writing { struct bw_telling *telling; };

static __always_inline void bw_append(struct bw_telling *telling, const void *text, __u32 length)
{
	__u32 at = telling->at;

	barrier_var(length);
	if (length > 255)
		length = 255;
	barrier_var(length);
	if (at <= BW_TAMPER_TEXT_ROOM - 256 && !bpf_probe_read_kernel(&telling->text[at], length, text))
		telling->at = at + length;
}

static long bw_append_name(__u64 index, struct bw_writing *writing)
{
	struct bw_telling *telling = writing->telling;
	struct dentry *dentry;
	__u32 left = telling->left;
	const char slash = '/';

	(void)index;
	if (!left)
		return 1;
	left--;
	telling->left = left;
	dentry = (struct dentry *)telling->dentries[left & (BW_MAX_DEPTH - 1)];
	bw_append(telling, &slash, 1);
	bw_append(telling, BPF_CORE_READ(dentry, d_name.name), BPF_CORE_READ(dentry, d_name.len));
	return 0;
}

static long bw_climb(__u64 index, struct bw_writing *writing)
{
	struct bw_telling *telling = writing->telling;
	__u64 dentry = telling->dentry, parent = (__u64)BPF_CORE_READ((struct dentry *)dentry, d_parent);

	if (parent == dentry || !parent)
		return 1;
	telling->dentries[index & (BW_MAX_DEPTH - 1)] = dentry;
	telling->left = index + 1;
	telling->dentry = parent;
	return 0;
}

static long bw_append_path(__u64 index, struct bw_writing *writing)
{
	struct bw_telling *telling = writing->telling;
	const char slash = '/';
	__u32 before = telling->at;

	if (index >= BW_TAMPER_TEXTS)
		return 1;
	telling->dentry = telling->roots[index];
	if (!telling->dentry)
		return 0;
	telling->left = 0;
	bpf_loop(BW_MAX_DEPTH, bw_climb, writing, 0);
	if (!telling->left)
		bw_append(telling, &slash, 1);
	bpf_loop(BW_MAX_DEPTH, bw_append_name, writing, 0);
	telling->event.texts[index] = telling->at - before;
	return 0;
}

/* What was tried, and on what. */
struct bw_attempt {
	__u32 act, detail;
	__u32 kind, id;
	struct dentry *dentry;
	__u32 peer_pid;
};

static __always_inline struct dentry *bw_exe(void)
{
	/* The file is held by the task's own memory. */
	return BPF_CORE_READ(bpf_get_current_task_btf(), mm, exe_file, f_path.dentry);
}

static __always_inline void bw_fill(struct bw_tamper *event, struct bw_attempt *attempt, struct bw_guard *state)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct dentry *exe = bw_exe(), *target = attempt->dentry;
	__u64 ids = bpf_get_current_pid_tgid(), owner = bpf_get_current_uid_gid();

	event->number = __sync_fetch_and_add(&state->number, 1) + 1;
	event->time = bpf_ktime_get_boot_ns();
	event->act = attempt->act;
	event->detail = attempt->detail;
	event->kind = attempt->kind;
	event->id = attempt->id;
	event->peer_pid = attempt->peer_pid;
	event->pid = ids >> 32;
	event->tid = ids;
	event->uid = owner;
	event->gid = owner >> 32;
	event->start_time = task->group_leader->start_boottime;
	event->cgroup = bpf_get_current_cgroup_id();
	event->userns = task->cred->user_ns->ns.inum;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (exe) {
		event->exe_device = BPF_CORE_READ(exe, d_sb, s_dev);
		event->exe_inode = BPF_CORE_READ(exe, d_inode, i_ino);
	}
	if (target) {
		event->device = BPF_CORE_READ(target, d_sb, s_dev);
		event->inode = BPF_CORE_READ(target, d_inode, i_ino);
	}
}

static __noinline int bw_tell(struct bw_attempt *attempt)
{
	struct bw_guard *state = bw_guard();
	struct bw_telling *telling;
	struct bw_writing writing;
	__u32 length;

	if (!state)
		return 0;
	telling = bpf_task_storage_get(&guard_tellings, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!telling) {
		__sync_fetch_and_add(&state->number, 1);
		__sync_fetch_and_add(&state->lost, 1);
		return 0;
	}
	__builtin_memset(&telling->event, 0, sizeof(telling->event));
	bw_fill(&telling->event, attempt, state);
	telling->roots[BW_TAMPER_EXE] = (__u64)bw_exe();
	telling->roots[BW_TAMPER_TARGET] = (__u64)attempt->dentry;
	telling->at = 0;
	writing.telling = telling;
	bpf_loop(BW_TAMPER_TEXTS, bw_append_path, &writing, 0);
	length = telling->at;
	barrier_var(length);
	if (length > BW_TAMPER_TEXT_ROOM)
		length = BW_TAMPER_TEXT_ROOM;
	barrier_var(length);
	if (bpf_ringbuf_output(&tampers, telling, sizeof(struct bw_tamper) + length, 0))
		__sync_fetch_and_add(&state->lost, 1);
	return 0;
}

/* Without texts, for programs that may not use a task's storage: the executable is known by its inode. */
static __always_inline void bw_tell_short(struct bw_attempt *attempt, struct bw_guard *state)
{
	struct bw_tamper event = {};

	bw_fill(&event, attempt, state);
	if (bpf_ringbuf_output(&tampers, &event, sizeof(event), 0))
		__sync_fetch_and_add(&state->lost, 1);
}

/* What would change something sealed: 0 for who may, else -EPERM, and it is told. */
static __noinline int bw_refuse(struct bw_attempt *attempt)
{
	if (bw_may_change())
		return 0;
	bw_tell(attempt);
	return -EPERM;
}
#endif
