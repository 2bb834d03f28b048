/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What needs no process, no path and no mount: programs that are attached to the root of cgroup2, without a link. Nobody can take them away but
 * through the hook `bpf`, which is one of them. They hold the guard's own bpffs, and the pins there hold all the rest.
 *
 * The kernel has room for ten hooks of this kind. They return 1 for what is permitted, 0 for EPERM.
 *
 * Soundness: a program that is attached later at the same place can turn a refusal into success (bpf_set_retval), so while this is armed nobody
 * else attaches any (see bw_bpf); one further down cannot. And kernel.ftrace_enabled=0 disables every LSM program; the program at cgroup/sysctl
 * is none, and refuses that.
 */
#ifndef BPFWARDEN_GUARD_CORE_BPF_H
#define BPFWARDEN_GUARD_CORE_BPF_H

#include "tell.bpf.h"

#define BPF_FS_MAGIC	 0xcafe4a11
#define MNT_DETACH	 2
#define MS_REMOUNT	 32
#define MS_BIND		 4096
#define MS_MOVE		 8192

#define BW_PERMIT 1
#define BW_DENY	  0

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

static __always_inline int bw_keep_name(struct dentry *dentry, __u32 act)
{
	struct bw_attempt attempt = {.act = act, .dentry = dentry};

	if (!bw_is_sealed_name(dentry) && !bw_is_mountpoint(dentry))
		return BW_PERMIT;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

SEC("lsm_cgroup/inode_unlink")
int BPF_PROG(core_unlink, struct inode *directory, struct dentry *dentry)
{
	return bw_keep_name(dentry, BW_ACT_UNLINK);
}

SEC("lsm_cgroup/inode_rmdir")
int BPF_PROG(core_rmdir, struct inode *directory, struct dentry *dentry)
{
	return bw_keep_name(dentry, BW_ACT_RMDIR);
}

/* What is renamed, and what is replaced. */
SEC("lsm_cgroup/inode_rename")
int BPF_PROG(core_rename, struct inode *from, struct dentry *dentry, struct inode *to, struct dentry *replaced)
{
	return bw_keep_name(dentry, BW_ACT_RENAME) == BW_PERMIT ? bw_keep_name(replaced, BW_ACT_RENAME) : BW_DENY;
}

/* --- mounts */

static __always_inline struct mount *bw_mount(const struct vfsmount *mnt)
{
	return (struct mount *)((void *)mnt - bpf_core_field_offset(struct mount, mnt));
}

/* BW_MOUNT_*, 0 for a mount that may go. */
static __always_inline __u32 bw_mount_flags(struct mount *mount)
{
	__u64 address = (__u64)mount;
	__u32 *flags = bpf_map_lookup_elem(&mounts, &address);

	return flags ? *flags : 0;
}

/*
 * A mount in another namespace whose end would reach one of ours: it is on the same directory, and what it is mounted on gets the same mounts as
 * what ours is mounted on.
 */
static __always_inline bool bw_is_peer(struct mount *mount)
{
	__u64 point = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
	__u64 *parent = bpf_map_lookup_elem(&mountpoints, &point);
	int group;

	if (!parent)
		return false;
	group = BPF_CORE_READ(mount, mnt_parent, mnt_group_id);
	return group && group == BPF_CORE_READ((struct mount *)*parent, mnt_group_id);
}

static __always_inline bool bw_in_our_namespace(void)
{
	struct bw_guard *state = bw_guard();

	return state && state->mount_ns && state->mount_ns == (__u64)bpf_get_current_task_btf()->nsproxy->mnt_ns;
}

/*
 * The hook is told the mount that was named, not what goes with it. So all that ours stands on is known; that cannot change, as nothing of it
 * can be moved (core_move_mount, core_mount) and the root of its namespace stays (core_pivot_root).
 */
SEC("lsm_cgroup/sb_umount")
int BPF_PROG(core_umount, struct vfsmount *mnt, int flags)
{
	struct bw_attempt attempt = {.act = BW_ACT_UMOUNT, .detail = flags};
	struct mount *mount = bw_mount(mnt);
	__u32 is = bw_mount_flags(mount);

	/* Without MNT_DETACH what has mounts on it stays. */
	if (!(is & BW_MOUNT_OWN) && !(is && flags & MNT_DETACH) && !bw_is_peer(mount))
		return BW_PERMIT;
	attempt.dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

SEC("lsm_cgroup/move_mount")
int BPF_PROG(core_move_mount, struct path *from, struct path *to)
{
	struct bw_attempt attempt = {.act = BW_ACT_MOVE_MOUNT};
	struct mount *mount = bw_mount(from->mnt), *onto = bw_mount(to->mnt);

	attempt.dentry = from->dentry;
	if (!bw_mount_flags(mount) && !bw_is_peer(mount)) {
		/* Over ours: it would be seen instead of it. */
		if (!(bw_mount_flags(onto) & BW_MOUNT_OWN))
			return BW_PERMIT;
		attempt.dentry = to->dentry;
	}
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

/* The hook of mount(2) is told of MS_MOVE only where to, so in our namespace nothing is moved that way. move_mount(2) still does. */
SEC("lsm_cgroup/sb_mount")
int BPF_PROG(core_mount, const char *device, const struct path *path, const char *type, unsigned long flags)
{
	struct bw_attempt attempt = {.act = BW_ACT_MOUNT, .detail = flags};
	bool ours = bw_mount_flags(bw_mount(path->mnt)) & BW_MOUNT_OWN;

	if (!ours && !(flags & MS_MOVE && !(flags & MS_REMOUNT) && !(flags & MS_BIND) && bw_in_our_namespace()))
		return BW_PERMIT;
	attempt.dentry = path->dentry;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

SEC("lsm_cgroup/sb_pivotroot")
int BPF_PROG(core_pivot_root, const struct path *old, const struct path *new)
{
	struct bw_attempt attempt = {.act = BW_ACT_PIVOT_ROOT};

	if (!bw_in_our_namespace())
		return BW_PERMIT;
	attempt.dentry = old->dentry;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

/* --- bpf() */

static __always_inline int bw_keep_object(__u32 kind, __u32 id, __u32 act, __u32 detail)
{
	struct bw_attempt attempt = {.act = act, .detail = detail, .kind = kind, .id = id};

	if (!bw_is_sealed(kind, id))
		return BW_PERMIT;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

/* How many pins and fds there are, this one included: nobody else has one that is older than the seal if it is as many as there should be. */
static __always_inline void bw_count_holders(struct bpf_map *map)
{
	struct bw_sealed key = {BW_SEALED_MAP, map->id};
	__u32 *holders = bpf_map_lookup_elem(&sealed, &key);

	if (holders)
		*holders = map->usercnt.counter;
}

/*
 * An fd for a sealed map is given to nobody, not for reading either: a program may be given any map that there is an fd for, and write to it; so
 * may an iterator; and pinned in another bpffs, an fd for reading becomes one for writing.
 */
SEC("lsm_cgroup/bpf_map")
int BPF_PROG(core_map, struct bpf_map *map, fmode_t mode)
{
	struct bw_guard *state = bw_guard();

	if (state && bw_is_guardian(state, bpf_get_current_task_btf()))
		return BW_PERMIT;
	if (bw_keep_object(BW_SEALED_MAP, map->id, BW_ACT_GET_MAP, mode) == BW_DENY)
		return BW_DENY;
	bw_count_holders(map);
	return BW_PERMIT;
}

SEC("lsm_cgroup/bpf_prog")
int BPF_PROG(core_prog, struct bpf_prog *prog)
{
	return bw_keep_object(BW_SEALED_PROG, prog->aux->id, BW_ACT_GET_PROG, 0);
}

/* Of the command's arguments only values are looked at: numbers of fds can mean others by the time that they are used. */
static __always_inline __u32 bw_refused_attach_type(__u32 type)
{
	return type == BPF_CGROUP_SYSCTL || type == BPF_LSM_CGROUP;
}

#define PF_EXITING 4

static __always_inline bool bw_changer_lives(const struct bw_guard *state)
{
	/* What was freed has other words there by now, if any. */
	struct task_struct *task = (void *)state->changer_task;

	return BPF_CORE_READ(task, tgid) == (int)state->changer && BPF_CORE_READ(task, start_boottime) == state->changer_start &&
	       !(BPF_CORE_READ(task, flags) & PF_EXITING);
}

/*
 * What somebody makes just now to be sealed is not in the table yet. Of who ends in the middle, nothing is left that was not in the table: all
 * that it had made so far were its own fds.
 */
static __always_inline bool bw_is_changing(void)
{
	struct bw_guard *state = bw_guard();

	return state && state->changer && state->changer != bpf_get_current_pid_tgid() >> 32 && bpf_ktime_get_boot_ns() < state->changing_until &&
	       !bw_is_guardian(state, bpf_get_current_task_btf()) && bw_changer_lives(state);
}

static __noinline int bw_refuse_command(__u32 command, __u32 kind, __u32 id)
{
	struct bw_attempt attempt = {.act = BW_ACT_BPF, .detail = command, .kind = kind, .id = id};

	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

/*
 * Links of cgroups can be detached and updated by whoever has their fd, and opening a pinned link calls no hook. So it is looked at what the
 * number of the fd means; where another task could make it mean something else before the kernel looks, it is refused.
 */
static __noinline int bw_keep_link(__u32 command, __u32 number)
{
	struct bw_guard *state = bw_guard();
	struct files_struct *files = bpf_get_current_task_btf()->files;
	struct bpf_link *link;
	struct file **table, *file;
	__u32 id = 0;

	if (!state || !state->detachable)
		return BW_PERMIT;
	if (files->count.counter > 1)
		return bw_refuse_command(command, 0, 0);
	if (number >= BPF_CORE_READ(files, fdt, max_fds))
		return BW_PERMIT;
	table = BPF_CORE_READ(files, fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), table + number) || !file)
		return BW_PERMIT;
	link = BPF_CORE_READ(file, private_data);
	id = BPF_CORE_READ(link, id);
	if (!bw_is_sealed(BW_SEALED_LINK, id))
		return BW_PERMIT;
	return bw_refuse_command(command, BW_SEALED_LINK, id);
}

/* For others there is no such id: who goes through all ids goes on to the next then. */
static __always_inline int bw_keep_by_id(__u32 command, __u32 kind, __u32 id)
{
	struct bw_guard *state = bw_guard();

	if (bw_is_changing())
		return BW_DENY;
	if (!bw_is_sealed(kind, id) || (kind == BW_SEALED_MAP && state && bw_is_guardian(state, bpf_get_current_task_btf())))
		return BW_PERMIT;
	if (bw_refuse_command(command, kind, id) == BW_PERMIT)
		return BW_PERMIT;
	bpf_set_retval(-ENOENT);
	return BW_DENY;
}

SEC("lsm_cgroup/bpf")
int BPF_PROG(core_bpf, int command, union bpf_attr *attr)
{
	command &= 0xffff; /* above are flags (7.0) */
	/* What is done most. */
	if (command <= BPF_MAP_GET_NEXT_KEY)
		return BW_PERMIT;
	switch (command) {
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
		if (bw_refused_attach_type(attr->attach_type))
			return bw_refuse_command(command, 0, 0);
		return BW_PERMIT;
	case BPF_LINK_CREATE:
		if (bw_refused_attach_type(attr->link_create.attach_type))
			return bw_refuse_command(command, 0, 0);
		return BW_PERMIT;
	case BPF_PROG_LOAD:
		/* It could close fds that kernel threads hold. */
		if (attr->prog_type == BPF_PROG_TYPE_SYSCALL)
			return bw_refuse_command(command, 0, 0);
		/* On security_bpf() it could end the LSM's call before ours: its callers take what is above zero for success. */
		if (attr->expected_attach_type == BPF_MODIFY_RETURN &&
		    (attr->prog_type == BPF_PROG_TYPE_TRACING || attr->prog_type == BPF_PROG_TYPE_LSM))
			return bw_refuse_command(command, 0, 0);
		return BW_PERMIT;
	case BPF_LINK_DETACH:
	case BPF_LINK_UPDATE:
		return bw_keep_link(command, attr->link_detach.link_fd);
	case BPF_LINK_GET_FD_BY_ID:
		return bw_keep_by_id(command, BW_SEALED_LINK, attr->link_id);
	case BPF_MAP_GET_FD_BY_ID:
		return bw_keep_by_id(command, BW_SEALED_MAP, attr->map_id);
	case BPF_PROG_GET_FD_BY_ID:
		return bw_keep_by_id(command, BW_SEALED_PROG, attr->prog_id);
	case BPF_OBJ_GET:
		if (bw_is_changing())
			return BW_DENY;
	}
	return BW_PERMIT;
}

/* --- the one switch that disables LSM programs: for who may change something, too, as they are what keeps it in force */

SEC("cgroup/sysctl")
int core_sysctl(struct bpf_sysctl *context)
{
	static const char disarms[] = "kernel/ftrace_enabled";
	struct bw_attempt attempt = {.act = BW_ACT_SYSCTL};
	struct bw_guard *state = bw_guard();
	char name[sizeof(disarms)] = {};

	if (!context->write || bpf_sysctl_get_name(context, name, sizeof(name), 0) != sizeof(disarms) - 1)
		return BW_PERMIT;
	for (__u32 i = 0; i < sizeof(disarms) - 1; i++)
		if (name[i] != disarms[i])
			return BW_PERMIT;
	if (!state || !state->armed)
		return BW_PERMIT;
	bw_tell_short(&attempt, state);
	return BW_DENY;
}
#endif
