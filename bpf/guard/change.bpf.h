/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The only way to change what is sealed. Whoever calls is judged here, again at each call: an fd for this program is no right to anything. */
#ifndef BPFWARDEN_GUARD_CHANGE_BPF_H
#define BPFWARDEN_GUARD_CHANGE_BPF_H

#include "core.bpf.h"

static __always_inline int bw_seal_object(const struct bw_change *change, struct bw_guard *state)
{
	struct bw_sealed key = {change->kind, change->id};
	struct bw_sealed_what what = {.flags = change->value, .index = state->listed};

	if (change->kind < BW_SEALED_PROG || change->kind > BW_SEALED_LINK)
		return -EINVAL;
	if (bw_sealed(key.kind, key.id))
		return 0;
	if (bpf_map_update_elem(&sealed, &key, &what, BPF_NOEXIST))
		return -ENOSPC;
	bpf_map_update_elem(&listed, &what.index, &key, BPF_ANY);
	state->listed++;
	if (change->value & BW_SEALED_DETACHABLE)
		state->detachable++;
	return 0;
}

/* The last one of the list takes its place. */
static __always_inline int bw_unseal_object(const struct bw_change *change, struct bw_guard *state)
{
	struct bw_sealed key = {change->kind, change->id}, none = {};
	struct bw_sealed_what *what = bw_sealed(key.kind, key.id), *moved;
	struct bw_sealed *last;
	__u32 index, end = state->listed - 1;

	if (!what)
		return -ENOENT;
	index = what->index;
	if (what->flags & BW_SEALED_DETACHABLE)
		state->detachable--;
	last = bpf_map_lookup_elem(&listed, &end);
	if (last) {
		moved = bw_sealed(last->kind, last->id);
		if (moved)
			moved->index = index;
		bpf_map_update_elem(&listed, &index, last, BPF_ANY);
		bpf_map_update_elem(&listed, &end, &none, BPF_ANY);
		state->listed = end;
	}
	return bpf_map_delete_elem(&sealed, &key);
}

static __always_inline int bw_seal_place(const struct bw_change *change, struct bw_guard *state)
{
	struct bw_place key = {.device = change->device, .inode = change->value};
	__u32 one = 1;

	if (bpf_map_lookup_elem(&places, &key))
		return 0;
	if (bpf_map_update_elem(&places, &key, &one, BPF_NOEXIST))
		return -ENOSPC;
	state->places++;
	return 0;
}

static __always_inline int bw_unseal_place(const struct bw_change *change, struct bw_guard *state)
{
	struct bw_place key = {.device = change->device, .inode = change->value};

	if (bpf_map_delete_elem(&places, &key))
		return -ENOENT;
	state->places--;
	return 0;
}

static __always_inline int bw_unseal_device(const struct bw_change *change, struct bw_guard *state)
{
	__u32 key = change->device;

	if (key == state->device)
		return -EINVAL;
	if (bpf_map_delete_elem(&devices, &key))
		return -ENOENT;
	state->devices--;
	return 0;
}

static __always_inline int bw_seal_device(const struct bw_change *change, struct bw_guard *state)
{
	__u32 key = change->device, one = 1;

	if (bpf_map_lookup_elem(&devices, &key))
		return 0;
	if (bpf_map_update_elem(&devices, &key, &one, BPF_NOEXIST))
		return -ENOSPC;
	state->devices++;
	return 0;
}

SEC("?syscall")
int change(struct bw_change *change)
{
	struct bw_attempt attempt = {.act = BW_ACT_CHANGE, .detail = change->what, .kind = change->kind, .id = change->id};
	struct bw_guard *state = bw_guard();

	if (!state)
		return -EINVAL;
	if (bw_refuse(&attempt))
		return -EPERM;
	/* Before the guard is armed nobody is refused anything, but whoever seals is not to be disturbed. */
	if (bw_is_changed_by_another(state))
		return -EBUSY;
	switch (change->what) {
	case BW_CHANGE_SEAL_OBJECT:
		return bw_seal_object(change, state);
	case BW_CHANGE_UNSEAL_OBJECT:
		return bw_unseal_object(change, state);
	case BW_CHANGE_SEAL_PLACE:
		return bw_seal_place(change, state);
	case BW_CHANGE_UNSEAL_PLACE:
		return bw_unseal_place(change, state);
	case BW_CHANGE_SEAL_DEVICE:
		return bw_seal_device(change, state);
	case BW_CHANGE_UNSEAL_DEVICE:
		return bw_unseal_device(change, state);
	case BW_CHANGE_ARM:
		if (change->kind < BW_UPDATER_NOBODY || change->kind > BW_UPDATER_DOMAIN || (change->kind == BW_UPDATER_DOMAIN && !change->id))
			return -EINVAL;
		state->updater = change->kind;
		state->domain = change->id;
		state->device = change->device;
		if (!state->armed)
			state->since = bpf_ktime_get_boot_ns();
		state->changer = 0; /* who armed it may be nobody's updater from here on */
		state->armed = 1;
		return 0;
	case BW_CHANGE_DISARM:
		state->armed = 0;
		return 0;
	case BW_CHANGE_BEGIN:
		state->changer_task = (__u64)bpf_get_current_task_btf()->group_leader;
		state->changer_start = bpf_get_current_task_btf()->group_leader->start_boottime;
		state->changing_until = bpf_ktime_get_boot_ns() + BW_CHANGE_SECONDS * 1000000000ull;
		state->changer = bpf_get_current_pid_tgid() >> 32;
		return 0;
	case BW_CHANGE_END:
		state->changer = 0;
		return 0;
	case BW_CHANGE_GUARDIAN:
		state->guardian = change->id;
		state->guardian_start = change->value;
		return 0;
	}
	return -EINVAL;
}

/*
 * Addresses of mounts: of what the calling thread opens, while this is attached, all that it stands on, up to the root. Attached for a moment,
 * by who may change something; to have them known, or forgotten.
 */
const volatile __u32 bw_asking; /* the thread */
const volatile bool bw_forgetting;
int bw_asked_mounts; /* how many there are; -1: more than BW_MAX_MOUNTS */

static __noinline int bw_keep_mount(__u64 address, bool own)
{
	struct bw_kept_mount none = {}, *kept;

	if (!bw_forgetting)
		bpf_map_update_elem(&mounts, &address, &none, BPF_NOEXIST);
	kept = bpf_map_lookup_elem(&mounts, &address);
	if (!kept)
		return 0;
	if (own)
		kept->own += bw_forgetting ? -1 : 1;
	else
		kept->below += bw_forgetting ? -1 : 1;
	if (!kept->own && !kept->below)
		bpf_map_delete_elem(&mounts, &address);
	return 0;
}

static __noinline int bw_keep_point(__u64 address, __u64 parent)
{
	struct bw_kept_point none = {.parent = parent}, *kept;

	if (!bw_forgetting)
		bpf_map_update_elem(&mountpoints, &address, &none, BPF_NOEXIST);
	kept = bpf_map_lookup_elem(&mountpoints, &address);
	if (!kept)
		return 0;
	kept->count += bw_forgetting ? -1 : 1;
	if (!kept->count)
		bpf_map_delete_elem(&mountpoints, &address);
	return 0;
}

static __noinline int bw_keep_namespace(__u64 address)
{
	__u64 none = 0, *count;

	if (!bw_forgetting)
		bpf_map_update_elem(&namespaces, &address, &none, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&namespaces, &address);
	if (!count)
		return 0;
	*count += bw_forgetting ? -1 : 1;
	if (!*count)
		bpf_map_delete_elem(&namespaces, &address);
	return 0;
}

SEC("?lsm/file_open")
int BPF_PROG(ask_mounts, struct file *file)
{
	struct mount *mount = bw_mount(file->f_path.mnt), *parent;

	if ((__u32)bpf_get_current_pid_tgid() != bw_asking || !bw_may_change())
		return 0;
	bw_keep_namespace((__u64)BPF_CORE_READ(mount, mnt_ns));
	for (int i = 0; i < BW_MAX_MOUNTS; i++) {
		parent = BPF_CORE_READ(mount, mnt_parent);
		bw_keep_mount((__u64)mount, i == 0);
		if (!parent || parent == mount) {
			bw_asked_mounts = i + 1;
			return 0;
		}
		bw_keep_point((__u64)BPF_CORE_READ(mount, mnt_mountpoint), (__u64)parent);
		mount = parent;
	}
	bw_asked_mounts = -1;
	return 0;
}
#endif
