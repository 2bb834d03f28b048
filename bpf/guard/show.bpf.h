/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is sealed, as text, for everybody who may look into the guard's bpffs: an fd of these maps is given to nobody. */
#ifndef BPFWARDEN_GUARD_SHOW_BPF_H
#define BPFWARDEN_GUARD_SHOW_BPF_H

#include "state.bpf.h"

SEC("?iter/bpf_map_elem")
int show_guard(struct bpf_iter__bpf_map_elem *context)
{
	struct bw_guard *state = context->value;

	if (state)
		BPF_SEQ_PRINTF(context->meta->seq, "%u %u %u %u %llu %llu %llu %u %u\n", state->armed, state->updater, state->domain, state->device,
			       state->since, state->number, state->lost, state->changer, state->guardian);
	return 0;
}

SEC("?iter/bpf_map_elem")
int show_sealed(struct bpf_iter__bpf_map_elem *context)
{
	struct bw_sealed *key = context->key;
	__u32 *holders = context->value;

	if (key && holders)
		BPF_SEQ_PRINTF(context->meta->seq, "%u %u %u\n", key->kind, key->id, *holders);
	return 0;
}

SEC("?iter/bpf_map_elem")
int show_places(struct bpf_iter__bpf_map_elem *context)
{
	struct bw_place *key = context->key;

	if (key)
		BPF_SEQ_PRINTF(context->meta->seq, "%u %llu\n", key->device, key->inode);
	return 0;
}

SEC("?iter/bpf_map_elem")
int show_devices(struct bpf_iter__bpf_map_elem *context)
{
	__u32 *key = context->key;

	if (key)
		BPF_SEQ_PRINTF(context->meta->seq, "%u\n", *key);
	return 0;
}
#endif
