/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Files and names: what is opened, made, removed, renamed and changed. */
#ifndef BPFWARDEN_POLICY_FILES_BPF_H
#define BPFWARDEN_POLICY_FILES_BPF_H

#include "decide.bpf.h"

#define FMODE_READ   0x1
#define FMODE_WRITE  0x2
#define FMODE_EXEC   0x20 /* in f_flags as in f_mode; no user can set it in an open */
#define O_APPEND     02000
#define O_TMPFILE    020000000 /* without O_DIRECTORY, which always comes with it */
#define RENAME_EXCHANGE 2

static __always_inline __u32 bw_state_of_file(struct bw_view *view, struct file *file, bool by_path)
{
	return by_path ? bw_file_path(view, file) : bw_path(view, file->f_path.dentry);
}

static __always_inline __u64 bw_open_ops(struct file *file)
{
	__u64 ops = 0;

	if (file->f_mode & FMODE_READ)
		ops |= BW_OP_READ;
	if (file->f_mode & FMODE_WRITE)
		ops |= file->f_flags & O_APPEND ? BW_OP_APPEND : BW_OP_WRITE;
	if (file->f_flags & O_TMPFILE) /* the one way to make a file that path_mknod does not see */
		ops |= BW_OP_CREATE;
	return ops;
}

/* The file at the root of a file system has no name there. */
static __always_inline bool bw_open_passes(struct bw_view *view, struct file *file, bool by_path)
{
	__u32 sequence = bw_rename_sequence();
	struct bw_stamp stamp = bw_stamp(view, sequence);
	struct dentry *dentry = file->f_path.dentry, *parent = dentry->d_parent;
	struct inode *inode = parent->d_inode;
	bool quiet;

	if (sequence & 1 || !inode || dentry == parent)
		return false;
	if (by_path) {
		quiet = bw_is_quiet_by_path(&file->f_path, stamp.image, stamp.moment, view->number, bw_open_ops(file));
	} else {
		view->entry = bpf_inode_storage_get(&directories, inode, 0, 0);
		view->sequence = sequence;
		quiet = bw_is_quiet(view->entry, dentry, stamp, view->number, bw_open_ops(file));
	}
	return quiet && bw_rename_sequence() == sequence;
}

/* Subprograms, for their stack. */
static __noinline bool bw_open_is_quiet(struct bw_view *view, struct file *file)
{
	return bw_open_passes(view, file, false);
}

static __noinline bool bw_open_is_quiet_by_path(struct bw_view *view, struct file *file)
{
	return bw_open_passes(view, file, true);
}

/* After a walk, of this file, that led to silence. */
static __noinline int bw_remember_open(struct bw_view *view, struct file *file)
{
	struct bw_stamp stamp = bw_stamp(view, view->sequence);
	struct dentry *dentry = file->f_path.dentry, *parent = dentry->d_parent;
	struct inode *inode = parent->d_inode;

	if (inode && dentry != parent && bw_rename_sequence() == view->sequence)
		bw_keep_quiet(view->entry ?: bpf_inode_storage_get(&directories, inode, 0, 0), dentry, stamp, view->number,
			      view->quiet);
	return 0;
}

static __noinline int bw_remember_open_by_path(struct bw_view *view, struct file *file)
{
	struct bw_stamp stamp = bw_stamp(view, view->sequence);

	if (bw_rename_sequence() == view->sequence)
		bw_keep_quiet_by_path(&file->f_path, stamp.image, stamp.moment, view->number, view->quiet);
	return 0;
}

static __always_inline int bw_file_open(struct file *file, bool by_path)
{
	struct bw_view view;
	__u32 domain;
	int refused;

	if (file->f_flags & FMODE_EXEC) /* bprm_check_security and mmap_file decide about it */
		return 0;
	domain = bw_current_domain();
	if (!domain || !bw_take(&view, domain))
		return 0;
	if (by_path ? bw_open_is_quiet_by_path(&view, file) : bw_open_is_quiet(&view, file))
		return 0;
	if (!bw_know(&view))
		return 0;
	refused = bw_judge_file(&view, file->f_path.dentry, bw_state_of_file(&view, file, by_path), bw_open_ops(file),
				bw_what(BW_HOOK_FILE_OPEN, file->f_flags));
	if (refused || !view.quiet)
		return refused;
	return by_path ? bw_remember_open_by_path(&view, file) : bw_remember_open(&view, file);
}

SEC("?lsm/file_open")
int BPF_PROG(file_open, struct file *file)
{
	return bw_file_open(file, false);
}

SEC("?lsm/file_open")
int BPF_PROG(file_open_by_path, struct file *file)
{
	return bw_file_open(file, true);
}

/* From 6.2. Before, ftruncate asks path_truncate too. */
static __always_inline int bw_file_truncate(struct file *file, bool by_path)
{
	struct bw_view view;

	if (!bw_confined(&view))
		return 0;
	return bw_judge_file(&view, file->f_path.dentry, bw_state_of_file(&view, file, by_path), BW_OP_TRUNCATE,
			     bw_what(BW_HOOK_FILE_TRUNCATE, 0));
}

SEC("?lsm/file_truncate")
int BPF_PROG(file_truncate, struct file *file)
{
	return bw_file_truncate(file, false);
}

SEC("?lsm/file_truncate")
int BPF_PROG(file_truncate_by_path, struct file *file)
{
	return bw_file_truncate(file, true);
}

/* One name, one operation. */
static __always_inline int bw_one(struct dentry *dentry, __u32 hook, __u64 op, __u32 detail)
{
	struct bw_view view;

	if (!bw_confined(&view))
		return 0;
	return bw_judge_file(&view, dentry, bw_path(&view, dentry), op, bw_what(hook, detail));
}

SEC("?lsm/path_truncate")
int BPF_PROG(path_truncate, struct path *path)
{
	return bw_one(path->dentry, BW_HOOK_PATH_TRUNCATE, BW_OP_TRUNCATE, 0);
}

SEC("?lsm/path_mknod")
int BPF_PROG(path_mknod, struct path *directory, struct dentry *dentry, unsigned int mode)
{
	__u32 type = mode & S_IFMT;

	return bw_one(dentry, BW_HOOK_PATH_MKNOD, type == S_IFREG || !type ? BW_OP_CREATE : BW_OP_MKNOD, mode);
}

SEC("?lsm/path_mkdir")
int BPF_PROG(path_mkdir, struct path *directory, struct dentry *dentry, unsigned int mode)
{
	return bw_one(dentry, BW_HOOK_PATH_MKDIR, BW_OP_MKDIR, mode);
}

SEC("?lsm/path_symlink")
int BPF_PROG(path_symlink, struct path *directory, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_PATH_SYMLINK, BW_OP_SYMLINK, 0);
}

SEC("?lsm/path_unlink")
int BPF_PROG(path_unlink, struct path *directory, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_PATH_UNLINK, BW_OP_DELETE, 0);
}

SEC("?lsm/path_rmdir")
int BPF_PROG(path_rmdir, struct path *directory, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_PATH_RMDIR, BW_OP_DELETE, 0);
}

SEC("?lsm/path_chmod")
int BPF_PROG(path_chmod, struct path *path, unsigned int mode)
{
	return bw_one(path->dentry, BW_HOOK_PATH_CHMOD, BW_OP_CHMOD, mode);
}

SEC("?lsm/path_chown")
int BPF_PROG(path_chown, struct path *path)
{
	return bw_one(path->dentry, BW_HOOK_PATH_CHOWN, BW_OP_CHOWN, 0);
}

SEC("?lsm/path_chroot")
int BPF_PROG(path_chroot, struct path *path)
{
	return bw_one(path->dentry, BW_HOOK_PATH_CHROOT, BW_OP_CHROOT, 0);
}

static __noinline int bw_judge_names(struct bw_view *view, struct bw_work *work, struct dentry *old, struct dentry *new, __u64 what)
{
	__u32 hook = what;
	bool exchange = what >> 32 & RENAME_EXCHANGE;
	__u64 op = hook == BW_HOOK_PATH_LINK ? BW_OP_LINK : BW_OP_RENAME;
	struct bw_object object = {.hook = hook, .detail = what >> 32, .ops = op, .dentry = old, .second = new};
	struct bw_outcome gains = {};
	struct inode *inode;
	__u64 permitted;
	__u32 set = 0;
	int refused;

	object.flags = bw_on_behalf();
	__builtin_memset(&work->had, 0, sizeof(work->had));
	__builtin_memset(&work->gets, 0, sizeof(work->gets));
	if (!bw_rights_at(view, work->from, &work->had, &object.set) || !bw_rights_at(view, work->to, &work->gets, &set))
		return bw_judge_blind(view, &object);
	refused = bw_judge(view, &object, &work->had);
	if (refused)
		return refused;
	object.set = set;
	object.dentry = new;
	object.second = old;
	if (op == BW_OP_RENAME && !exchange && BPF_CORE_READ(new, d_inode))
		object.ops |= BW_OP_DELETE;
	refused = bw_judge(view, &object, &work->gets);
	if (refused || object.flags & BW_EVENT_IN_KERNEL)
		return refused;
	inode = BPF_CORE_READ(old, d_inode);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR) {
		const struct bw_image_tail *tail = bw_line(view->image, 1);
		int moves = tail ? bw_moves(view->image, view->head, tail, view->number, work->from, work->to) : BW_LIVE_DENY;

		if (moves == BW_LIVE_DENY)
			gains.denied = op;
		else if (moves)
			gains.warned = op;
	} else {
		permitted = ~(work->gets.deny | (view->domain->default_deny & ~work->gets.allow)) & BW_OPS_OF_CONTENT;
		gains.denied = permitted & (work->had.deny | (view->domain->default_deny & ~work->had.allow));
	}
	if (!(gains.denied | gains.warned))
		return 0;
	object.ops = gains.denied | gains.warned;
	object.flags |= BW_EVENT_GAINS;
	return bw_answer(view, &object, &gains);
}

/*
 * A file gets another name. What the new name permits, the old one must permit too, or the rename would be the way around the rule; and a
 * directory in which a deny rule could match something must keep the place that the rule speaks of.
 */
static __always_inline int bw_second_name(struct dentry *old, struct dentry *new, __u32 hook, __u32 flags)
{
	struct bw_view view;
	struct bw_work *work;
	__u32 from;
	int refused;

	if (!bw_confined(&view))
		return 0;
	work = bw_work();
	if (!work)
		return -ENOMEM;
	work->from = bw_path(&view, old);
	work->to = bw_path(&view, new);
	refused = bw_judge_names(&view, work, old, new, bw_what(hook, flags));
	if (refused || !(flags & RENAME_EXCHANGE))
		return refused;
	/* One call of the hook for both (from 5.19): the other file gets the first one's name. */
	from = work->from;
	work->from = work->to;
	work->to = from;
	return bw_judge_names(&view, work, new, old, bw_what(hook, flags));
}

SEC("?lsm/path_rename")
int BPF_PROG(path_rename, struct path *old_directory, struct dentry *old, struct path *new_directory, struct dentry *new,
	     unsigned int flags)
{
	return bw_second_name(old, new, BW_HOOK_PATH_RENAME, flags);
}

SEC("?lsm/path_link")
int BPF_PROG(path_link, struct dentry *old, struct path *new_directory, struct dentry *new)
{
	return bw_second_name(old, new, BW_HOOK_PATH_LINK, 0);
}

/* The dentry's place in the arguments: one later where they begin with a mount's ids (6.3: mnt_idmap; before: user_namespace). */
SEC("?lsm/inode_setxattr")
int BPF_PROG(inode_setxattr, void *ids, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_INODE_SETXATTR, BW_OP_SETXATTR, 0);
}

SEC("?lsm/inode_removexattr")
int BPF_PROG(inode_removexattr, void *ids, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_INODE_REMOVEXATTR, BW_OP_SETXATTR, 0);
}

/* From 6.2; before, ACLs are set as xattrs. */
SEC("?lsm/inode_set_acl")
int BPF_PROG(inode_set_acl, void *ids, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_INODE_SET_ACL, BW_OP_SETXATTR, 0);
}

SEC("?lsm/inode_remove_acl")
int BPF_PROG(inode_remove_acl, void *ids, struct dentry *dentry)
{
	return bw_one(dentry, BW_HOOK_INODE_REMOVE_ACL, BW_OP_SETXATTR, 0);
}
#endif
