/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is sealed, for everybody who may call bpf(): an fd of these maps is given to nobody, and one of this program to anybody. It writes nothing
 * but its answer. (An iterator over the maps would not do: a pinned link can be opened, and updated to a program that writes to the map.)
 */
#ifndef BPFWARDEN_GUARD_SHOW_BPF_H
#define BPFWARDEN_GUARD_SHOW_BPF_H

#include "state.bpf.h"

SEC("?syscall")
int show(struct bw_show *show)
{
	struct bw_guard *state = bw_guard();
	struct bw_sealed *thing;
	__u32 index = show->index;

	if (!state)
		return -EINVAL;
	show->guard = *state;
	show->thing.kind = 0;
	show->thing.id = 0;
	thing = bpf_map_lookup_elem(&listed, &index);
	if (thing)
		show->thing = *thing;
	return 0;
}
#endif
