/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What has no object, other tasks, capabilities; and the programs that keep the tables true. */
#ifndef BPFWARDEN_POLICY_REST_BPF_H
#define BPFWARDEN_POLICY_REST_BPF_H

#include "exec.bpf.h"

#define PTRACE_MODE_READ   0x01
#define CAP_OPT_NOAUDIT    0x02
#define READING_MODULE     2 /* the kernel's enum kernel_read_file_id, and _load_data_id */

SEC("?lsm/bpf")
int BPF_PROG(bpf, int command)
{
	return bw_plain(BW_HOOK_BPF, BW_OP_BPF, command);
}

SEC("?lsm/perf_event_open")
int BPF_PROG(perf_event_open)
{
	return bw_plain(BW_HOOK_PERF_EVENT_OPEN, BW_OP_PERF, 0);
}

SEC("?lsm/kernel_module_request")
int BPF_PROG(kernel_module_request)
{
	return bw_plain(BW_HOOK_KERNEL_MODULE, BW_OP_MODULE, 0);
}

SEC("?lsm/kernel_read_file")
int BPF_PROG(kernel_read_file, struct file *file, int id)
{
	return id == READING_MODULE ? bw_plain(BW_HOOK_KERNEL_MODULE, BW_OP_MODULE, 0) : 0;
}

SEC("?lsm/kernel_load_data")
int BPF_PROG(kernel_load_data, int id)
{
	return id == READING_MODULE ? bw_plain(BW_HOOK_KERNEL_MODULE, BW_OP_MODULE, 0) : 0;
}

SEC("?lsm/userns_create")
int BPF_PROG(userns_create)
{
	return bw_plain(BW_HOOK_USERNS_CREATE, BW_OP_USERNS, 0);
}

/* The one hook that each io_uring meets on every kernel: its inode has a name of its own. */
SEC("?lsm/inode_init_security_anon")
int BPF_PROG(inode_init_security_anon, struct inode *inode, struct qstr *name)
{
	char text[16] = {};

	bpf_probe_read_kernel_str(text, sizeof(text), name->name);
	if (*(__u64 *)text != 0x6972755f6f695bull + 0x6e00000000000000ull || text[8] != 'g')
		return 0;
	return bw_plain(BW_HOOK_URING, BW_OP_IO_URING, 0);
}

/* Never for a task in a domain: with other credentials it would look like the kernel itself (bw_on_behalf). */
SEC("?lsm/uring_override_creds")
int BPF_PROG(uring_override_creds)
{
	return bw_current_domain() ? -EPERM : 0;
}

static __always_inline __u32 bw_list_line(struct bw_view *view)
{
	const struct bw_image_tail *tail = bw_line(view->image, 1);

	return tail ? tail->list_line : 0;
}

static __always_inline int bw_peer(struct task_struct *peer, __u32 hook, __u64 op, __u32 detail)
{
	struct bw_view view;
	struct bw_object object = {};
	struct bw_rights rights = {};
	const struct bw_domain_peers *last;
	const struct bw_cell *cell;
	struct bw_task *other;

	if (!bw_confined(&view))
		return 0;
	if ((__u32)peer->tgid == (__u32)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	other = bpf_task_storage_get(&tasks, peer, 0, 0);
	object.peer_domain = other ? other->domain : 0;
	last = bw_domain_line(view.image, view.head, view.number, 3);
	cell = bw_peer_cell(view.image, view.head, view.number, object.peer_domain);
	if (!cell || !last)
		return -EACCES;
	bw_add(&rights, cell);
	object.hook = hook;
	object.ops = op;
	object.detail = detail;
	object.set = bw_word(view.image, bw_list_line(&view), last->sets + object.peer_domain, 0);
	object.peer_pid = peer->tgid;
	return bw_judge(&view, &object, &rights);
}

SEC("?lsm/ptrace_access_check")
int BPF_PROG(ptrace_access_check, struct task_struct *child, unsigned int mode)
{
	return bw_peer(child, BW_HOOK_PTRACE_ACCESS_CHECK, mode & PTRACE_MODE_READ ? BW_OP_READ_MEMORY : BW_OP_PTRACE, mode);
}

SEC("?lsm/ptrace_traceme")
int BPF_PROG(ptrace_traceme, struct task_struct *parent)
{
	return bw_peer(parent, BW_HOOK_PTRACE_TRACEME, BW_OP_PTRACE, 0);
}

SEC("?lsm/task_kill")
int BPF_PROG(task_kill, struct task_struct *target, void *info, int signal)
{
	return bw_peer(target, BW_HOOK_TASK_KILL, BW_OP_SIGNAL, signal);
}

SEC("?lsm/capable")
int BPF_PROG(capable, struct cred *cred, struct user_namespace *ns, int capability, unsigned int options)
{
	struct bw_view view;
	struct bw_object object = {};
	struct bw_rights rights = {};
	const struct bw_domain_peers *last;
	const struct bw_cell *cell;

	if (!bw_confined(&view))
		return 0;
	cell = bw_domain_line(view.image, view.head, view.number, 2);
	last = bw_domain_line(view.image, view.head, view.number, 3);
	if (!cell || !last)
		return -EPERM;
	bw_add_capability(&rights, cell, capability);
	object.flags = bw_on_behalf();
	/* The kernel only asks whether it would be, and is not asked about it. */
	if (options & CAP_OPT_NOAUDIT)
		return bw_decide(&rights, object.flags ? 0 : view.domain->default_deny, 0, 0, BW_OP_CAPABLE).denied ? -EPERM : 0;
	object.hook = BW_HOOK_CAPABLE;
	object.ops = BW_OP_CAPABLE;
	object.detail = capability;
	object.set = last->capability_set;
	return bw_judge(&view, &object, &rights) ? -EPERM : 0;
}

/* A superblock goes, and its number with it: the next one that gets it has no place yet. */
SEC("?lsm/sb_delete")
int BPF_PROG(sb_delete, struct super_block *sb)
{
	__u32 device = sb->s_dev;

	bpf_map_delete_elem(&mounted, &device);
	return 0;
}

SEC("?lsm/sb_mount")
int BPF_PROG(sb_mount, const char *name, struct path *path)
{
	return bw_one(path->dentry, BW_HOOK_SB_MOUNT, BW_OP_MOUNT, 0);
}

SEC("?lsm/sb_umount")
int BPF_PROG(sb_umount, struct vfsmount *mount, int flags)
{
	return bw_one(mount->mnt_root, BW_HOOK_SB_UMOUNT, BW_OP_UMOUNT, flags);
}

SEC("?lsm/move_mount")
int BPF_PROG(move_mount, struct path *from, struct path *to)
{
	return bw_one(to->dentry, BW_HOOK_MOVE_MOUNT, BW_OP_MOUNT, 0);
}

SEC("?lsm/sb_pivotroot")
int BPF_PROG(sb_pivotroot, struct path *old, struct path *new)
{
	return bw_one(new->dentry, BW_HOOK_SB_PIVOTROOT, BW_OP_PIVOT_ROOT, 0);
}
#endif
