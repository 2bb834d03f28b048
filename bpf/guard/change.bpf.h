/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The only way to change what is sealed. Whoever calls is judged here, again at each call: an fd for this program is no right to anything. */
#ifndef BPFWARDEN_GUARD_CHANGE_BPF_H
#define BPFWARDEN_GUARD_CHANGE_BPF_H

#include "core.bpf.h"

#define BW_CHANGE_TIME (300ull * 1000000000)

static __always_inline int bw_change_object(const struct bw_change *change, struct bw_guard *state, bool seal)
{
	struct bw_sealed key = {change->kind, change->id};
	__u32 one = 1;

	if (change->kind < BW_SEALED_PROG || change->kind > BW_SEALED_LINK)
		return -EINVAL;
	if (seal && change->value)
		state->detachable++;
	return seal ? bpf_map_update_elem(&sealed, &key, &one, BPF_ANY) : bpf_map_delete_elem(&sealed, &key);
}

static __always_inline int bw_change_place(const struct bw_change *change, bool seal)
{
	struct bw_place key = {.device = change->device, .inode = change->value};
	__u32 one = 1;

	return seal ? bpf_map_update_elem(&places, &key, &one, BPF_ANY) : bpf_map_delete_elem(&places, &key);
}

static __always_inline int bw_change_device(const struct bw_change *change, bool seal)
{
	__u32 key = change->device, one = 1;

	return seal ? bpf_map_update_elem(&devices, &key, &one, BPF_ANY) : bpf_map_delete_elem(&devices, &key);
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
	switch (change->what) {
	case BW_CHANGE_SEAL_OBJECT:
	case BW_CHANGE_UNSEAL_OBJECT:
		return bw_change_object(change, state, change->what == BW_CHANGE_SEAL_OBJECT);
	case BW_CHANGE_SEAL_PLACE:
	case BW_CHANGE_UNSEAL_PLACE:
		return bw_change_place(change, change->what == BW_CHANGE_SEAL_PLACE);
	case BW_CHANGE_SEAL_DEVICE:
	case BW_CHANGE_UNSEAL_DEVICE:
		return bw_change_device(change, change->what == BW_CHANGE_SEAL_DEVICE);
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
		state->changing_until = bpf_ktime_get_boot_ns() + BW_CHANGE_TIME;
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
 * by who may change something.
 */
const volatile __u32 bw_asking; /* the thread */
int bw_asked_mounts; /* how many there are; -1: more than BW_MAX_MOUNTS */

SEC("?lsm/file_open")
int BPF_PROG(ask_mounts, struct file *file)
{
	struct bw_guard *state = bw_guard();
	struct mount *mount = bw_mount(file->f_path.mnt), *parent;
	__u32 flags = BW_MOUNT_OWN;

	if ((__u32)bpf_get_current_pid_tgid() != bw_asking || !state || !bw_may_change())
		return 0;
	if (!state->mount_ns)
		state->mount_ns = (__u64)BPF_CORE_READ(mount, mnt_ns);
	for (int i = 0; i < BW_MAX_MOUNTS; i++) {
		__u64 address = (__u64)mount, point = (__u64)BPF_CORE_READ(mount, mnt_mountpoint), under;
		__u32 *before = bpf_map_lookup_elem(&mounts, &address);

		flags |= before ? *before : 0;
		bpf_map_update_elem(&mounts, &address, &flags, BPF_ANY);
		parent = BPF_CORE_READ(mount, mnt_parent);
		if (!parent || parent == mount) {
			bw_asked_mounts = i + 1;
			return 0;
		}
		under = (__u64)parent;
		bpf_map_update_elem(&mountpoints, &point, &under, BPF_ANY);
		flags = BW_MOUNT_BELOW;
		mount = parent;
	}
	bw_asked_mounts = -1;
	return 0;
}
#endif
