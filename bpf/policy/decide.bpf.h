/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From an object to what its rules say, and from that to the hook's answer. Every hook ends here. */
#ifndef BPFWARDEN_POLICY_DECIDE_BPF_H
#define BPFWARDEN_POLICY_DECIDE_BPF_H

#include "path.bpf.h"
#include "pins.bpf.h"
#include "tell.bpf.h"

/* What the rules say about what is at STATE. False: its name cannot be told. */
static __always_inline bool bw_rights_at(struct bw_view *view, __u32 state, struct bw_rights *rights, __u32 *set)
{
	const struct bw_state *line;
	const struct bw_cell *cell;

	if (state >= BW_STEP_BROKEN)
		return false;
	line = bw_state_at(view->image, view->head, state);
	if (!line)
		return false;
	*set = line->set;
	cell = bw_cell(view->image, view->head, line->set, view->number);
	if (!cell)
		return false;
	bw_add(rights, cell);
	return true;
}

static __always_inline bool bw_add_set(struct bw_view *view, __u32 set, struct bw_rights *rights)
{
	const struct bw_cell *cell = bw_cell(view->image, view->head, set, view->number);

	if (!cell)
		return false;
	bw_add(rights, cell);
	return true;
}

/* Rules by what a file is and by the type of where it is. Few policies have them. False: a broken image. */
static __noinline bool bw_add_kinds(struct bw_view *view, struct dentry *dentry, struct bw_rights *rights)
{
	const struct bw_image_tail *tail = bw_line(view->image, 1);
	const struct bw_state *line;
	struct super_block *sb = BPF_CORE_READ(dentry, d_sb);
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	long length;
	__u32 state;

	if (!tail)
		return false;
	if (tail->types) {
		__builtin_memset(view->words, 0, sizeof(view->words));
		length = bpf_probe_read_kernel_str(view->words, BW_EDGE_INLINE + 1, BPF_CORE_READ(sb, s_type, name));
		if (length < 2)
			return false;
		state = bw_step_short(view, tail->types, length - 1);
		line = state < BW_STEP_BROKEN ? bw_state_at(view->image, view->head, state) : NULL;
		if (!line)
			return false;
		view->type_set = line->set;
	}
	if (tail->identities && inode)
		view->identity_set = bw_identity_set(view->image, tail, BPF_CORE_READ(sb, s_dev), BPF_CORE_READ(inode, i_ino),
						     BPF_CORE_READ(inode, i_generation));
	return bw_add_set(view, view->type_set, rights) && bw_add_set(view, view->identity_set, rights);
}

/* Rules by label. False: a broken image, or the file's label cannot be told. */
static __noinline bool bw_add_labels(struct bw_view *view, struct dentry *dentry, struct bw_rights *rights)
{
	struct bw_looking looking = {.view = view, .pins = bw_line(view->image, 2)};
	struct bw_found *found = bpf_task_storage_get(&founds, bpf_get_current_task_btf(), 0, 0);

	if (!looking.pins || !found)
		return false;
	looking.found = found;
	found->sets[BW_PIN_LABEL] = 0;
	found->sets[BW_PIN_USER_LABEL] = 0;
	if (found->labelled != (__u64)dentry || looking.pins->objects & (found->unknown | ~found->kinds))
		return false;
	bpf_loop(BW_PIN_KINDS, bw_look_up_pin, &looking, 0);
	return bw_add_set(view, found->sets[BW_PIN_LABEL], rights) && bw_add_set(view, found->sets[BW_PIN_USER_LABEL], rights);
}

/* The slow end: something is refused or told. */
static __noinline int bw_answer(struct bw_view *view, struct bw_object *object, struct bw_outcome *outcome)
{
	__u32 told = outcome->denied ? BW_TOLD_DENIED : outcome->warned ? BW_TOLD_WARNED : BW_TOLD_AUDITED;
	bool sent = bw_tell(view, object, told, outcome->denied ? outcome->denied : outcome->warned ? outcome->warned : outcome->audited);

	if (outcome->denied || (!sent && (view->domain->flags & BW_DOMAIN_LOSS_DENIES)))
		return -EACCES;
	return 0;
}

static __always_inline int bw_judge(struct bw_view *view, struct bw_object *object, const struct bw_rights *rights)
{
	const struct bw_domain *domain = view->domain;
	struct bw_outcome outcome;

	/* What the kernel does on the task's behalf: deny rules follow the data, defaults are for what the task asked for by name. */
	if (object->flags & BW_EVENT_IN_KERNEL)
		outcome = bw_decide(rights, 0, 0, 0, object->ops);
	else
		outcome = bw_decide(rights, domain->default_deny, domain->default_warn, domain->default_audit, object->ops);
	if (!(outcome.denied | outcome.warned | outcome.audited))
		return 0;
	return bw_answer(view, object, &outcome);
}

static __always_inline int bw_judge_blind(struct bw_view *view, struct bw_object *object)
{
	struct bw_outcome outcome = {
		.denied = object->ops & view->domain->blind_deny,
		.warned = object->ops & view->domain->blind_warn & ~view->domain->blind_deny,
	};
	struct bw_control *now = bw_control();

	if (now)
		__sync_fetch_and_add(&now->blind, 1);
	if (!(outcome.denied | outcome.warned))
		return 0;
	object->flags |= BW_EVENT_BLIND;
	return bw_answer(view, object, &outcome);
}

#define PF_IO_WORKER 0x10

/*
 * Whether the kernel does this with other credentials than the task's: an overlay on its layers. Two things that a task asks for by name have
 * that, too, and do not count. io_uring works with the credentials of when a request was made: a worker that is older than a change of them,
 * or the task itself with a request that waited. And a core file is written with a copy. (Personalities are refused: uring_override_creds.)
 */
static __always_inline __u8 bw_on_behalf(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->cred == task->real_cred || task->flags & PF_IO_WORKER || task->signal->core_state)
		return 0;
	if (bpf_core_field_exists(task->io_uring) && task->io_uring)
		return 0;
	return BW_EVENT_IN_KERNEL;
}

/* A hook, and a number that says more about what it was called for. */
static __always_inline __u64 bw_what(__u32 hook, __u32 detail)
{
	return (__u64)detail << 32 | hook;
}

/* What a domain may do there with nobody to be told. */
static __always_inline __u64 bw_quiet(const struct bw_domain *domain, const struct bw_rights *rights)
{
	return ~(rights->deny | rights->warn | rights->audit | domain->default_audit) &
	       (rights->allow | ~(domain->default_deny | domain->default_warn));
}

/* After the walk, on a stack of its own: what is known before a walk would multiply what is to be verified of it, too. */
static __noinline int bw_judge_file(struct bw_view *view, struct dentry *dentry, __u32 state, __u64 ops, __u64 what)
{
	struct bw_object object = {.dentry = dentry, .ops = ops, .hook = what, .detail = what >> 32};
	struct bw_rights rights = {};

	object.flags = bw_on_behalf();
	view->quiet = 0;
	if (!bw_rights_at(view, state, &rights, &object.set))
		return bw_judge_blind(view, &object);
	if (view->domain->flags & (BW_DOMAIN_BY_TYPE | BW_DOMAIN_BY_IDENTITY) && !bw_add_kinds(view, dentry, &rights))
		return -EACCES;
	/* An overlay's own files have no label but the overlay's, which was asked for. */
	if (view->domain->flags & BW_DOMAIN_BY_LABEL && ops & BW_OPS_LABEL && !object.flags && !bw_add_labels(view, dentry, &rights))
		return bw_judge_blind(view, &object);
	/* By name alone: a rule by identity would be about another file after the next rename or link, a label changes. */
	view->quiet = view->domain->flags & (BW_DOMAIN_BY_IDENTITY | BW_DOMAIN_BY_LABEL) ? 0 : bw_quiet(view->domain, &rights);
	return bw_judge(view, &object, &rights);
}
#endif
