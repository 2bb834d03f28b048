/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is in which domain: exec gives it, fork hands it on. And what may be executed, or mapped to be. */
#ifndef BPFWARDEN_POLICY_EXEC_BPF_H
#define BPFWARDEN_POLICY_EXEC_BPF_H

#include "files.bpf.h"

#define PROT_EXEC 4

struct bw_entering {
	struct bw_view *view;
	const struct bw_image_tail *tail;
	struct bw_exec exec;
	__u32 first, count;
	__u32 found; /* the first way in that fits; BW_NO_ENTRY */
};

/* bw_holds_entry(), which goes by halves, is too many ways for a verifier. */
struct bw_holding {
	struct bw_view *view;
	const struct bw_image_tail *tail;
	__u32 first, count;
	__u32 entry;
	bool found;
};

static long bw_hold(__u64 index, struct bw_holding *holding)
{
	if (index >= holding->count)
		return 1;
	if (bw_word(holding->view->image, holding->tail->list_line, holding->first + index, BW_NO_ENTRY) != holding->entry)
		return 0;
	holding->found = true;
	return 1;
}

static __noinline bool bw_set_holds(struct bw_view *view, const struct bw_image_tail *tail, __u32 set, __u32 entry)
{
	struct bw_holding holding = {.view = view, .tail = tail, .entry = entry};
	const struct bw_set *of = set ? bw_set_at(view->image, tail, set) : NULL;

	if (!of)
		return false;
	holding.first = of->first_entry;
	holding.count = of->entry_count;
	bpf_loop(BW_MAX_ENTRIES, bw_hold, &holding, 0);
	return holding.found;
}

static __noinline bool bw_pins_held(struct bw_view *view, const struct bw_entry *entry)
{
	struct bw_found *found = bpf_task_storage_get(&founds, bpf_get_current_task_btf(), 0, 0);

	return found && bw_pins_fit(view->image, entry, found->numbers);
}

/* One step of bw_first_entry(). What is listed ascends. */
static long bw_try_entry(__u64 index, struct bw_entering *entering)
{
	struct bw_view *view = entering->view;
	const struct bw_entry *entry;
	__u32 number;

	if (index >= entering->count)
		return 1;
	number = bw_word(view->image, entering->tail->list_line, entering->first + index, BW_NO_ENTRY);
	if (number >= entering->found)
		return 1;
	entry = bw_line(view->image, entering->tail->entry_line + number);
	if (!entry)
		return 1;
	if (!bw_entry_fits(entry, &entering->exec,
			   entry->flags & BW_ENTRY_CGROUP && bw_set_holds(view, entering->tail, entering->exec.cgroup_set, number),
			   entry->flags & BW_ENTRY_IDENTITY && bw_set_holds(view, entering->tail, entering->exec.identity_set, number),
			   entry->pins && bw_pins_held(view, entry)))
		return 0;
	entering->found = number;
	return 1;
}

/* The names of control groups are walked like those of directories. */
struct bw_groups {
	struct bw_view *view;
	struct bw_work *work;
	__u32 state;
};

static long bw_descend_group(__u64 index, struct bw_groups *groups)
{
	struct bw_work *work = groups->work;
	struct kernfs_node *node;
	__u32 left = work->depth;
	const char *name;
	long length;

	(void)index;
	if (!left || groups->state >= BW_STEP_BROKEN)
		return 1;
	left--;
	work->depth = left;
	node = (struct kernfs_node *)work->dentries[left & (BW_MAX_DEPTH - 1)];
	name = BPF_CORE_READ(node, name);
	__builtin_memset(work->name, 0, sizeof(work->name));
	length = bpf_probe_read_kernel_str(work->name, sizeof(work->name), name);
	if (length < 2 || length > BW_MAX_NAME + 1) {
		groups->state = BW_STEP_BROKEN;
		return 1;
	}
	groups->state = bw_step_name(groups->view, groups->state, (const unsigned char *)name, length - 1);
	return 0;
}

static __always_inline struct kernfs_node *bw_parent_group(struct kernfs_node *node)
{
	struct kernfs_node___since_6_15 *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

static __noinline __u32 bw_group_state(struct bw_view *view, const struct bw_image_tail *tail)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct bw_groups groups = {.view = view, .state = tail->cgroups};
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	struct bw_work *work = bw_work();

	if (!work || !groups.state)
		return 0;
	groups.work = work;
	work->depth = BW_MAX_DEPTH;
	for (int i = 0; i < 64; i++) {
		struct kernfs_node *parent = bw_parent_group(node);

		if (!parent) {
			work->depth = i;
			break;
		}
		work->dentries[i] = (__u64)node;
		node = parent;
	}
	if (work->depth >= BW_MAX_DEPTH)
		return 0;
	bpf_loop(BW_MAX_DEPTH, bw_descend_group, &groups, 0);
	return groups.state >= BW_STEP_BROKEN ? 0 : groups.state;
}

static __always_inline __u32 bw_set_of(struct bw_view *view, __u32 state)
{
	const struct bw_state *line = state < BW_STEP_BROKEN ? bw_state_at(view->image, view->head, state) : NULL;

	return line ? line->set : 0;
}

#define BW_NO_DOMAIN ~0u

/* The domain after exec of DENTRY's file, which is at STATE. BW_NO_DOMAIN: the policy changed while the file was being opened. */
static __noinline __u32 bw_entered(struct bw_view *view, struct dentry *dentry, __u32 state)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct bw_entering entering = {.view = view, .found = BW_NO_ENTRY};
	const struct bw_entry *entry;
	const struct bw_set *set;
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	__u64 owner = bpf_get_current_uid_gid();

	entering.tail = bw_line(view->image, 1);
	if (!entering.tail || !entering.tail->entries)
		return view->number;
	if (!bw_look_up_pins(view, dentry))
		return BW_NO_DOMAIN;
	entering.exec.domain = view->number;
	entering.exec.file_set = bw_set_of(view, state);
	entering.exec.uid = owner;
	entering.exec.gid = owner >> 32;
	entering.exec.userns_init = BPF_CORE_READ(task, cred, user_ns, level) == 0;
	entering.exec.cgroup_set = bw_set_of(view, bw_group_state(view, entering.tail));
	if (entering.tail->identities)
		entering.exec.identity_set = bw_identity_set(view->image, entering.tail, BPF_CORE_READ(dentry, d_sb, s_dev),
							     BPF_CORE_READ(inode, i_ino), BPF_CORE_READ(inode, i_generation));
	set = entering.exec.file_set ? bw_set_at(view->image, entering.tail, entering.exec.file_set) : NULL;
	if (set) {
		entering.first = set->first_entry;
		entering.count = set->entry_count;
		bpf_loop(BW_MAX_ENTRIES, bw_try_entry, &entering, 0);
	}
	entering.first = entering.tail->any_entries;
	entering.count = entering.tail->any_entry_count;
	bpf_loop(BW_MAX_ENTRIES, bw_try_entry, &entering, 0);
	if (entering.found == BW_NO_ENTRY)
		return view->number;
	entry = bw_line(view->image, entering.tail->entry_line + entering.found);
	return entry ? entry->to : view->number;
}

/* Nothing of ours is left with a task that is in no domain: its next open costs nothing then. */
static __always_inline void bw_forget_exec(void)
{
	bpf_task_storage_delete(&works, bpf_get_current_task_btf());
	bpf_task_storage_delete(&founds, bpf_get_current_task_btf());
}

/* Once an exec, with the file that was asked for: of a script the script. Its interpreter comes here too, with another name for itself. */
static __always_inline int bw_enter_domain(struct linux_binprm *bprm, bool by_path)
{
	struct bw_view view;
	struct bw_task *task = bw_current();
	__u32 state, next, number = bw_current_domain();

	if (bprm->interp != bprm->filename)
		return 0;
	if (!bw_look(&view, number))
		return 0;
	state = bw_state_of_file(&view, bprm->file, by_path);
	next = bw_entered(&view, bprm->file->f_path.dentry, state);
	if (next == BW_NO_DOMAIN)
		return -EAGAIN;
	if (!next && !number && !task) {
		bw_forget_exec();
		return 0;
	}
	task = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!task)
		return -ENOMEM;
	task->next = next + 1;
	if (next != view.number) {
		const struct bw_domain *domain = bw_line(view.image, view.head->domain_line + next * BW_DOMAIN_LINES);

		if (!domain || domain->flags & BW_DOMAIN_SECURE_EXEC)
			bpf_bprm_opts_set(bprm, BPF_F_BPRM_SECUREEXEC);
	}
	return 0;
}

SEC("?lsm/bprm_check_security")
int BPF_PROG(bprm_enter, struct linux_binprm *bprm)
{
	return bw_enter_domain(bprm, false);
}

SEC("?lsm/bprm_check_security")
int BPF_PROG(bprm_enter_by_path, struct linux_binprm *bprm)
{
	return bw_enter_domain(bprm, true);
}

/* There is no way back from here: an exec that fails before it leaves the domain alone. */
SEC("?lsm/bprm_committing_creds")
int BPF_PROG(bprm_committing_creds, struct linux_binprm *bprm)
{
	struct bw_task *task = bw_current();
	struct bw_view view;
	struct bw_object object = {.hook = BW_HOOK_BPRM_CHECK_SECURITY};
	__u32 before;

	if (!task) {
		/* The label of its interpreter, which was opened since. */
		if (bpf_get_current_task_btf()->bpf_storage)
			bpf_task_storage_delete(&founds, bpf_get_current_task_btf());
		return 0;
	}
	if (!task->next)
		return 0;
	before = task->domain;
	task->domain = task->next - 1;
	task->next = 0;
	if (task->domain == before)
		return 0;
	/* From one domain to another the tracer can have come along in the first. */
	task->traced = (before && task->traced) || bpf_get_current_task_btf()->ptrace;
	if (!bw_look(&view, task->domain))
		return 0;
	object.ops = BW_OP_EXEC;
	object.set = BW_RULE_KNOWN;
	object.peer_domain = before;
	object.dentry = BPF_CORE_READ(bprm, file, f_path.dentry);
	bw_tell(&view, &object, BW_TOLD_ENTERED, BW_OP_EXEC);
	return 0;
}

SEC("?lsm/task_alloc")
int BPF_PROG(task_alloc, struct task_struct *child, unsigned long flags)
{
	__u32 domain = bw_current_domain();
	struct bw_task *copy, *own;

	if (!domain)
		return 0;
	copy = bpf_task_storage_get(&tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!copy)
		return -ENOMEM;
	own = bw_current();
	copy->domain = domain;
	copy->traced = !own || own->traced;
	return 0;
}

static __always_inline int bw_file_op(struct file *file, __u64 op, __u64 what, bool by_path)
{
	struct bw_view view;

	if (!bw_confined(&view))
		return 0;
	return bw_judge_file(&view, file->f_path.dentry, bw_state_of_file(&view, file, by_path), op, what);
}

/* For each file of an exec: a script and its interpreter. */
SEC("?lsm/bprm_check_security")
int BPF_PROG(bprm_check_security, struct linux_binprm *bprm)
{
	return bw_file_op(bprm->file, BW_OP_EXEC, bw_what(BW_HOOK_BPRM_CHECK_SECURITY, 0), false);
}

SEC("?lsm/bprm_check_security")
int BPF_PROG(bprm_check_security_by_path, struct linux_binprm *bprm)
{
	return bw_file_op(bprm->file, BW_OP_EXEC, bw_what(BW_HOOK_BPRM_CHECK_SECURITY, 0), true);
}

static __always_inline int bw_plain(__u32 hook, __u64 op, __u32 detail)
{
	struct bw_view view;
	struct bw_object object = {};
	struct bw_rights rights = {};
	const struct bw_domain_peers *last;
	const struct bw_cell *cell;

	if (!bw_confined(&view))
		return 0;
	cell = bw_domain_line(view.image, view.head, view.number, 1);
	last = bw_domain_line(view.image, view.head, view.number, 3);
	if (!cell || !last)
		return -EACCES;
	bw_add(&rights, cell);
	object.hook = hook;
	object.ops = op;
	object.detail = detail;
	object.set = last->plain_set;
	return bw_judge(&view, &object, &rights);
}

/*
 * FILE is null for memory that is no file's, whatever a verifier believes: 6.12 would follow the null pointer. Files and anonymous memory
 * have a program each: together they need more stack than there is.
 */
static __always_inline int bw_mapped(struct file *file, unsigned long prot, bool by_path)
{
	if (!(prot & PROT_EXEC) || !file)
		return 0;
	return bw_file_op(file, BW_OP_MAP_EXEC, bw_what(BW_HOOK_MMAP_FILE, prot), by_path);
}

SEC("?lsm/mmap_file")
int BPF_PROG(mmap_file, struct file *file, unsigned long reqprot, unsigned long prot)
{
	return bw_mapped(file, prot, false);
}

SEC("?lsm/mmap_file")
int BPF_PROG(mmap_file_by_path, struct file *file, unsigned long reqprot, unsigned long prot)
{
	return bw_mapped(file, prot, true);
}

/* Memory in the form of a file that is in no directory: shared memory, with and without a name, and memfds. */
static __always_inline bool bw_is_memory(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	return BPF_CORE_READ(dentry, d_parent) == dentry;
}

SEC("?lsm/mmap_file")
int BPF_PROG(mmap_anonymous, struct file *file, unsigned long reqprot, unsigned long prot)
{
	if (!(prot & PROT_EXEC) || (file && !bw_is_memory(file)))
		return 0;
	return bw_plain(BW_HOOK_MMAP_FILE, BW_OP_MAP_ANON_EXEC, prot);
}

static __always_inline int bw_protected(struct vm_area_struct *vma, unsigned long prot, bool by_path)
{
	struct file *file;

	if (!(prot & PROT_EXEC))
		return 0;
	file = vma->vm_file;
	if (!file)
		return 0;
	return bw_file_op(file, BW_OP_MAP_EXEC, bw_what(BW_HOOK_FILE_MPROTECT, prot), by_path);
}

SEC("?lsm/file_mprotect")
int BPF_PROG(file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
	return bw_protected(vma, prot, false);
}

SEC("?lsm/file_mprotect")
int BPF_PROG(file_mprotect_by_path, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
	return bw_protected(vma, prot, true);
}

/* A private mapping that was written to (anon_vma) is no longer only the file's. */
SEC("?lsm/file_mprotect")
int BPF_PROG(mprotect_anonymous, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);

	if (!(prot & PROT_EXEC) || (file && !BPF_CORE_READ(vma, anon_vma) && !bw_is_memory(file)))
		return 0;
	return bw_plain(BW_HOOK_FILE_MPROTECT, BW_OP_MAP_ANON_EXEC, prot);
}
#endif
