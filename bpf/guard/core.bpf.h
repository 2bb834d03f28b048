/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What needs no process, no path and no mount: programs that are attached to the root of cgroup2, without a link. Nobody can take them away but
 * through the hook `bpf`, which is one of them. They hold the guard's own bpffs, and the pins there hold all the rest.
 *
 * The kernel has room for ten hooks of this kind, and takes about 250 instructions to call one, more than twice what it takes for one of the
 * usual kind: these keep the names. Here 1 is for what is permitted, 0 for EPERM.
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

/* --- mounts */

static __always_inline struct mount *bw_mount(const struct vfsmount *mnt)
{
	return (struct mount *)((void *)mnt - bpf_core_field_offset(struct mount, mnt));
}

/* Null for a mount that may go. */
static __always_inline const struct bw_kept_mount *bw_kept_mount(struct mount *mount)
{
	__u64 address = (__u64)mount;

	return bpf_map_lookup_elem(&mounts, &address);
}

static __always_inline bool bw_is_own(struct mount *mount)
{
	const struct bw_kept_mount *kept = bw_kept_mount(mount);

	return kept && kept->own;
}

#define BW_MAX_MASTERS 16

/*
 * Whether a mount gets the mounts and umounts that mounts of that peer group get: it is of the group, or a slave of it. A function that is
 * verified once, whoever calls it from how many loops: so its mount is a number.
 */
__noinline int bw_gets_from(__u64 address, int group)
{
	struct mount *mount = (struct mount *)address;

	if (!group)
		return 0;
	for (int i = 0; i < BW_MAX_MASTERS; i++) {
		if (BPF_CORE_READ(mount, mnt_group_id) == group)
			return 1;
		mount = BPF_CORE_READ(mount, mnt_master);
		if (!mount)
			return 0;
	}
	return 1;
}

/*
 * A mount in another namespace whose end would reach one of ours: it is on the same directory, and what ours is mounted on gets what it is
 * mounted on gets.
 */
static __always_inline bool bw_is_peer(struct mount *mount)
{
	__u64 point = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
	struct bw_kept_point *kept = bpf_map_lookup_elem(&mountpoints, &point);

	return kept && bw_gets_from(kept->parent, BPF_CORE_READ(mount, mnt_parent, mnt_group_id));
}

/* More than these: whoever asks is refused. */
#define BW_MAX_MOUNT_DEPTH 32
#define BW_MAX_PEERS 4096

struct bw_walk {
	struct mount *top; /* that is umounted */
	struct mount *at;  /* a peer, and where in its ring to end */
	struct list_head *end;
	struct list_head *child, *last; /* what is mounted on it */
	bool reached;
};

__noinline int bw_is_beneath(__u64 address, __u64 top)
{
	struct mount *mount = (struct mount *)address, *parent;

	for (int i = 0; i < BW_MAX_MOUNT_DEPTH; i++) {
		if ((__u64)mount == top)
			return 1;
		parent = BPF_CORE_READ(mount, mnt_parent);
		if (!parent || parent == mount)
			return 0;
		mount = parent;
	}
	return 1;
}

static long bw_walk_child(__u32 index, struct bw_walk *walk)
{
	struct list_head *child = walk->child;

	if (child == walk->last)
		return 1;
	walk->reached = bw_is_peer((struct mount *)((void *)child - bpf_core_field_offset(struct mount, mnt_child)));
	walk->child = BPF_CORE_READ(child, next);
	return walk->reached;
}

static long bw_walk_peer(__u32 index, struct bw_walk *walk)
{
	struct mount *at = walk->at;
	struct list_head *next, *on_it = (void *)at + bpf_core_field_offset(struct mount, mnt_mounts);

	if (bw_is_beneath((__u64)at, (__u64)walk->top)) {
		walk->last = on_it;
		walk->child = BPF_CORE_READ(on_it, next);
		if (bpf_loop(BW_MAX_PEERS, bw_walk_child, walk, 0) == BW_MAX_PEERS)
			walk->reached = true;
		if (walk->reached)
			return 1;
	}
	next = BPF_CORE_READ(at, mnt_share.next);
	walk->at = (void *)next - bpf_core_field_offset(struct mount, mnt_share);
	return next == walk->end;
}

static long bw_walk_mount(struct bpf_map *map, __u64 *address, struct bw_kept_mount *kept, struct bw_walk *walk)
{
	struct mount *mount = (struct mount *)*address;

	for (int i = 0; i < BW_MAX_MASTERS && kept->below; i++) {
		walk->at = mount;
		walk->end = (void *)mount + bpf_core_field_offset(struct mount, mnt_share);
		if (bpf_loop(BW_MAX_PEERS, bw_walk_peer, walk, 0) == BW_MAX_PEERS)
			walk->reached = true;
		if (walk->reached)
			return 1; /* no more need be looked at */
		mount = BPF_CORE_READ(mount, mnt_master);
		if (!mount)
			return 0;
	}
	return 0;
}

/*
 * What is umounted lazily takes all along that is mounted on it, and what is a copy of ours there, on a peer of what ours is mounted on (or of
 * its masters), takes ours.
 */
static __noinline bool bw_takes_along(struct mount *mount)
{
	struct list_head *children = (void *)mount + bpf_core_field_offset(struct mount, mnt_mounts);
	struct bw_walk walk = {};

	/* As a number: a pointer that the kernel vouches for goes into no function that is verified by itself. */
	bpf_probe_read_kernel(&walk.top, sizeof(walk.top), &mount);
	/* Most have nothing on them. */
	if (BPF_CORE_READ(children, next) != children)
		bpf_for_each_map_elem(&mounts, bw_walk_mount, &walk, 0);
	return walk.reached;
}

static __always_inline bool bw_in_kept_namespace(void)
{
	__u64 address = (__u64)bpf_get_current_task_btf()->nsproxy->mnt_ns;

	return bpf_map_lookup_elem(&namespaces, &address) != NULL;
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
	const struct bw_kept_mount *kept = bw_kept_mount(mount);

	/* Without MNT_DETACH what has mounts on it stays. */
	if (!(kept && (kept->own || flags & MNT_DETACH)) && !bw_is_peer(mount) && !(flags & MNT_DETACH && bw_takes_along(mount)))
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
	if (!bw_kept_mount(mount) && !bw_is_peer(mount)) {
		/* Over ours: it would be seen instead of it. */
		if (!bw_is_own(onto))
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
	if (!bw_is_own(bw_mount(path->mnt)) && !(flags & MS_MOVE && !(flags & MS_REMOUNT) && !(flags & MS_BIND) && bw_in_kept_namespace()))
		return BW_PERMIT;
	attempt.dentry = path->dentry;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

SEC("lsm_cgroup/sb_pivotroot")
int BPF_PROG(core_pivot_root, const struct path *old, const struct path *new)
{
	struct bw_attempt attempt = {.act = BW_ACT_PIVOT_ROOT};

	if (!bw_in_kept_namespace())
		return BW_PERMIT;
	attempt.dentry = old->dentry;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

/* --- bpf() */

static __always_inline int bw_keep_object(__u32 kind, __u32 id, __u32 act, __u32 detail)
{
	struct bw_attempt attempt = {.act = act, .detail = detail, .kind = kind, .id = id};

	struct bw_sealed_what *what = bw_sealed(kind, id);

	if (!what || what->flags & BW_SEALED_OPEN)
		return BW_PERMIT;
	return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
}

static __always_inline bool bw_is_for_guardian(const struct bw_sealed_what *what)
{
	struct bw_guard *state = bw_guard();

	return what && what->flags & BW_SEALED_GUARDIAN && state && bw_is_guardian(state, bpf_get_current_task_btf());
}

/* How many pins and fds there are, this one included: nobody else has one that is older than the seal if it is as many as there should be. */
static __always_inline void bw_count_holders(struct bpf_map *map)
{
	struct bw_sealed_what *what = bw_sealed(BW_SEALED_MAP, map->id);

	if (what)
		what->holders = map->usercnt.counter;
}

/*
 * An fd for a sealed map is given to nobody, not for reading either: a program may be given any map that there is an fd for, and write to it; so
 * may an iterator; and pinned in another bpffs, an fd for reading becomes one for writing.
 */
SEC("lsm_cgroup/bpf_map")
int BPF_PROG(core_map, struct bpf_map *map, fmode_t mode)
{
	if (bw_is_for_guardian(bw_sealed(BW_SEALED_MAP, map->id)))
		return BW_PERMIT;
	if (bw_keep_object(BW_SEALED_MAP, map->id, BW_ACT_GET_MAP, mode) == BW_DENY)
		return BW_DENY;
	bw_count_holders(map);
	return BW_PERMIT;
}

/*
 * Of programs that were just loaded, too: one that changes what functions return (see core_bpf), one that takes the place of a function of a sealed program, and one that writes to the registers of
 * whoever it is called for (7.0), as the updater. And one that could have a thread of the kernel close the fds that hold ours (6.10).
 */
static __always_inline bool bw_is_hostile(const struct bpf_prog *prog)
{
	const struct bpf_prog_aux *aux = prog->aux;
	const struct bpf_prog *replaced = aux->dst_prog;

	if (prog->expected_attach_type == BPF_MODIFY_RETURN)
		return true;
	if (prog->type == BPF_PROG_TYPE_SYSCALL && bpf_core_type_exists(struct bpf_wq) && !bw_sealed(BW_SEALED_PROG, aux->id))
		return true;
	if (bpf_core_field_exists(aux->kprobe_write_ctx) && BPF_CORE_READ_BITFIELD(aux, kprobe_write_ctx))
		return true;
	return replaced && bw_sealed(BW_SEALED_PROG, replaced->aux->id);
}

SEC("lsm_cgroup/bpf_prog")
int BPF_PROG(core_prog, struct bpf_prog *prog)
{
	struct bw_attempt attempt = {.act = BW_ACT_BPF, .detail = BPF_PROG_LOAD};
	struct bw_guard *state = bw_guard();

	if (bw_is_hostile(prog)) {
		/* Whoever seals looks at all that are there. */
		if (state && !state->armed && state->changer == bpf_get_current_pid_tgid() >> 32)
			state->hostile++;
		return bw_refuse(&attempt) ? BW_DENY : BW_PERMIT;
	}
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

static __always_inline bool bw_is_changed_by_another(const struct bw_guard *state)
{
	return state->changer && state->changer != bpf_get_current_pid_tgid() >> 32 && !bw_is_worker(state) &&
	       bpf_ktime_get_boot_ns() < state->changing_until && bw_changer_lives(state);
}

/*
 * What somebody makes just now to be sealed is not in the table yet. Of who ends in the middle, nothing is left that was not in the table: all
 * that it had made so far were its own fds.
 */
static __always_inline bool bw_is_changing(void)
{
	struct bw_guard *state = bw_guard();

	return state && bw_is_changed_by_another(state) && !bw_is_guardian(state, bpf_get_current_task_btf());
}

/* Not now: who asks again is told when it is done. */
static __always_inline int bw_deny_for_now(void)
{
	bpf_set_retval(-EBUSY);
	return BW_DENY;
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
	if (!bw_sealed(BW_SEALED_LINK, id))
		return BW_PERMIT;
	return bw_refuse_command(command, BW_SEALED_LINK, id);
}

/* For others there is no such id: who goes through all ids goes on to the next then. */
static __always_inline int bw_keep_by_id(__u32 command, __u32 kind, __u32 id)
{
	struct bw_sealed_what *what = bw_sealed(kind, id);

	if (bw_is_changing())
		return bw_deny_for_now();
	if (!what || what->flags & BW_SEALED_OPEN || bw_is_for_guardian(what))
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
		/* Before the guard is armed, what was loaded so far has been looked at. */
		if (attr->expected_attach_type == BPF_MODIFY_RETURN && bw_is_changing())
			return bw_deny_for_now();
		/* It could close fds that kernel threads hold. */
		if (attr->prog_type == BPF_PROG_TYPE_SYSCALL)
			return bw_is_changing() ? bw_deny_for_now() : bw_refuse_command(command, 0, 0);
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
			return bw_deny_for_now();
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
