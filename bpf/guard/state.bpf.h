/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is sealed, and who may change it. All maps but the ring are frozen before the guard is armed: from then on only these programs write
 * to them, and the only one that does so on request is `change`.
 */
#ifndef BPFWARDEN_GUARD_STATE_BPF_H
#define BPFWARDEN_GUARD_STATE_BPF_H

#include "kernel.h"
#include "guard.h"
#include "policy_event.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bw_guard);
} guard SEC(".maps");

struct bw_sealed_what {
	__u32 flags;   /* BW_SEALED_* */
	__u32 holders; /* of a map, when it was opened by who may */
	__u32 index;   /* in `listed` */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BW_MAX_SEALED);
	__type(key, struct bw_sealed);
	__type(value, struct bw_sealed_what);
} sealed SEC(".maps");

/* The same without holes, to be shown. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BW_MAX_SEALED);
	__type(key, __u32);
	__type(value, struct bw_sealed);
} listed SEC(".maps");

/* Names in other people's bpffs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct bw_place);
	__type(value, __u32);
} places SEC(".maps");

/* Superblocks whose names are all sealed: the guard's own bpffs, and those that were asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

/* By address of struct mount. They stay, so another cannot have that address. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct bw_kept_mount);
} mounts SEC(".maps");

/* What these mounts are mounted on: addresses of struct dentry, which a mount holds. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct bw_kept_point);
} mountpoints SEC(".maps");

/* Mount namespaces that these are in, by address, which cannot be another's for as long as they are: how many are in it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, __u64);
} namespaces SEC(".maps");

/* The policy's own, where there is one: who is in which domain. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_task);
} tasks SEC(".maps");

#define CAP_MAC_ADMIN 33

static __always_inline struct bw_guard *bw_guard(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&guard, &zero);
}

static __always_inline bool bw_has_capability(__u32 capability)
{
	const struct cred *cred = bpf_get_current_task_btf()->cred;
	__u64 capabilities;

	/* A word of 64 bits, or before 6.3 two of 32. */
	if (bpf_probe_read_kernel(&capabilities, sizeof(capabilities), (void *)cred + bpf_core_field_offset(struct cred, cap_effective)))
		return false;
	return !cred->user_ns->level && capabilities >> capability & 1;
}

/* A thread of the kernel that runs nothing but what whoever may change something has asked it for (kernel_links.bpf.c). */
static __always_inline bool bw_is_worker(const struct bw_guard *state)
{
	return state->worker && state->worker == bpf_get_current_task();
}

/* Whether the current task may change what is sealed. Soundness: nothing that root can give a process counts, but what its policy knows it by. */
static __noinline bool bw_may_change(void)
{
	struct bw_guard *state = bw_guard();
	struct bw_task *task;

	if (!state)
		return false;
	if (!state->armed || bw_is_worker(state))
		return true;
	switch (state->updater) {
	case BW_UPDATER_CAPABILITY:
		return bw_has_capability(CAP_MAC_ADMIN);
	case BW_UPDATER_DOMAIN:
		task = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
		return task && task->domain == state->domain && !task->traced;
	}
	return false;
}

/* The guard's own process, by its pid and its start in hundredths of a second: it may read what is told and write what names are. */
static __always_inline bool bw_is_guardian(const struct bw_guard *state, struct task_struct *task)
{
	return state->guardian && task->tgid == (int)state->guardian && task->group_leader->start_boottime / 10000000 == state->guardian_start;
}

static __always_inline struct bw_sealed_what *bw_sealed(__u32 kind, __u32 id)
{
	struct bw_sealed key = {kind, id};

	return bpf_map_lookup_elem(&sealed, &key);
}
#endif
