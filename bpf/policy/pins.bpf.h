/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What files are known by besides their names and numbers: digests by fs-verity and by IMA, labels. The kernel gives them to programs that
 * may sleep only, so these read and leave them with the task, and the programs that decide look them up.
 *
 * Soundness: digests are read in bprm_creds_for_exec, of the file that is open for this exec and that nobody can open for writing any more;
 * they are used in bprm_check_security, which always comes later in the same exec of the same task. Labels are read in file_open, also of
 * what is opened to be executed. For an open of another kind the program that decides is on the same hook: user space attaches it before the
 * one that reads, and the kernel calls first what was attached last. Were that ever otherwise, the label would be another file's, which is
 * seen (`labelled`), and the file's label would count as one that cannot be told.
 */
#ifndef BPFWARDEN_POLICY_PINS_BPF_H
#define BPFWARDEN_POLICY_PINS_BPF_H

#include "state.bpf.h"

struct bw_found {
	__u64 labelled; /* address of the file that the labels are of; compared only */
	__u32 kinds;    /* bits: these were looked for */
	__u32 unknown;  /* bits: of these, what could not be told */
	struct bw_pin_value values[BW_PIN_KINDS];
	__u32 numbers[BW_PIN_KINDS]; /* what the image in force calls these */
	__u32 sets[BW_PIN_KINDS];    /* of rules that are about the file's labels */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_found);
} founds SEC(".maps");

struct bw_looking {
	struct bw_view *view;
	const struct bw_image_pins *pins;
	struct bw_found *found;
};

/* Of one kind: its number and set by the image. */
static long bw_look_up_pin(__u64 kind, struct bw_looking *looking)
{
	const struct bw_pin *pin;

	if (kind >= BW_PIN_KINDS)
		return 1;
	pin = bw_pin_find(looking->view->image, looking->pins, kind, &looking->found->values[kind]);
	looking->found->numbers[kind] = pin ? pin->number : 0;
	looking->found->sets[kind] = pin ? pin->set : 0;
	return 0;
}

/* For ways into domains. False: this exec began under a policy that did not ask for what this one asks for. */
static __noinline bool bw_look_up_pins(struct bw_view *view, struct dentry *dentry)
{
	struct bw_looking looking = {.view = view, .pins = bw_line(view->image, 2)};
	__u32 kinds = view->domain->pin_kinds;

	if (!looking.pins || !kinds)
		return looking.pins != NULL;
	looking.found = bpf_task_storage_get(&founds, bpf_get_current_task_btf(), 0, 0);
	if (!looking.found || kinds & ~looking.found->kinds)
		return false;
	if (kinds & BW_PINS_LABELS && looking.found->labelled != (__u64)dentry)
		return false;
	bpf_loop(BW_PIN_KINDS, bw_look_up_pin, &looking, 0);
	return true;
}
#endif
