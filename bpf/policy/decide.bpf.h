/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From an object to what its rules say, and from that to the hook's answer. Every hook ends here. */
#ifndef BPFWARDEN_POLICY_DECIDE_BPF_H
#define BPFWARDEN_POLICY_DECIDE_BPF_H

#include "path.bpf.h"
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

static __always_inline int bw_judge_state(struct bw_view *view, struct bw_object *object, __u32 state)
{
	struct bw_rights rights = {};

	if (!bw_rights_at(view, state, &rights, &object->set))
		return bw_judge_blind(view, object);
	return bw_judge(view, object, &rights);
}

static __always_inline int bw_judge_dentry(struct bw_view *view, struct bw_object *object)
{
	return bw_judge_state(view, object, bw_path(view, object->dentry));
}
#endif
