/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one evaluator: how a path goes through the automaton of an image, and what its rules say. Compiled into the BPF programs and into
 * `bpfwarden policy explain`. Before it is included: `bw_image_t`, and `const void *bw_line(bw_image_t image, __u32 line)`, a pointer to
 * the 64 bytes of a line, or null where there is none.
 *
 * Soundness: an image is trusted (written by us, then frozen), names are not. Names are compared byte by byte, never by their hash.
 * A missing line is an error of the image; the caller must refuse then.
 *
 * The loop over the bytes of a name is the includer's, as verifiers want theirs in another form than C++ has:
 *	__u32 bw_glob_name(image, head, __u32 row, const __u64 *words, __u32 length, __u32 room)
 * is bw_glob_byte() for each byte, until the row is 0 or BW_STEP_BROKEN; it is declared here and defined where this is included.
 */
#ifndef BPFWARDEN_POLICY_MATCH_H
#define BPFWARDEN_POLICY_MATCH_H

#include "policy_image.h"
#include "policy_ops.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Unrolled, they would need more of the small stack of a BPF program. */
#ifdef __bpf__
#define BW_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define BW_KEEP_LOOP
#endif

static __always_inline __u32 bw_edge_hash(__u32 seed, __u32 from, const __u64 words[3])
{
	__u64 h = words[0] ^ ((__u64)from << 32 | seed);

	h *= 0x9e3779b97f4a7c15ull;
	h ^= h >> 29;
	h = (h ^ words[1]) * 0xbf58476d1ce4e5b9ull;
	h ^= h >> 32;
	h = (h ^ words[2]) * 0x94d049bb133111ebull;
	return (__u32)(h >> 32);
}

/* The second bucket of an edge: different from the first wherever there is more than one. */
static __always_inline __u32 bw_edge_second(__u32 hash, __u32 mask)
{
	return (hash ^ ((hash >> 16) | 1)) & mask;
}

/*
 * A name is given as WORDS with zeros behind it, in memory of ROOM bytes: BW_ROOM_SHORT for a name of up to BW_EDGE_INLINE bytes, BW_ROOM_LONG
 * for any. ROOM is a constant of each place that calls.
 */
#define BW_ROOM_SHORT 24
#define BW_ROOM_LONG  256

static __always_inline __u64 bw_length_tag(__u32 length)
{
	return (__u64)(length > BW_EDGE_INLINE ? BW_EDGE_LONG : length) << 56;
}

/* Byte 23 is the length's: a longer name is hashed by its first 23 bytes, and compared by all. */
static __always_inline void bw_name_key(const __u64 *words, __u32 length, __u64 key[3])
{
	key[0] = words[0];
	key[1] = words[1];
	key[2] = (words[2] & 0x00ffffffffffffffull) | bw_length_tag(length);
}

#define BW_STEP_BROKEN 0xfffffffeu

static __always_inline const struct bw_state *bw_state_at(bw_image_t image, const struct bw_image_head *head, __u32 state)
{
	const struct bw_state *line = (const struct bw_state *)bw_line(image, head->state_line + (state >> 2));

	return line ? &line[state & 3] : 0;
}

static __always_inline int bw_same_text(bw_image_t image, __u32 line, const __u64 *words, __u32 length)
{
	BW_KEEP_LOOP
	for (__u32 i = 0; i < 4; i++) {
		const __u64 *text;

		if (i * 64 >= length)
			break;
		text = (const __u64 *)bw_line(image, line + i);
		if (!text)
			return 0;
		BW_KEEP_LOOP
		for (__u32 j = 0; j < 8; j++)
			if (text[j] != words[i * 8 + j])
				return 0;
	}
	return 1;
}

/* The target of the edge with this name, 0 if there is none. */
static __always_inline __u32 bw_edge(bw_image_t image, const struct bw_image_head *head, __u32 from, const __u64 *words,
				     __u32 length, __u32 room)
{
	__u64 key[3];
	__u32 hash, bucket;

	bw_name_key(words, length, key);
	hash = bw_edge_hash(head->edge_seed, from, key);
	bucket = hash & head->edge_mask;
	for (int turn = 0; turn < 2; turn++) {
		const struct bw_edge *edges = (const struct bw_edge *)bw_line(image, head->edge_line + bucket);

		if (!edges)
			return 0;
		for (int i = 0; i < 2; i++) {
			const struct bw_edge *edge = &edges[i];

			if (edge->from != from)
				continue;
			if (length <= BW_EDGE_INLINE) {
				if (edge->words[0] == key[0] && edge->words[1] == key[1] && edge->words[2] == key[2])
					return edge->to;
			} else if (room >= BW_ROOM_LONG && edge->longer.tag == BW_EDGE_LONG && edge->longer.length == length &&
				   bw_same_text(image, edge->longer.text_line, words, length)) {
				return edge->to;
			}
		}
		bucket = bw_edge_second(hash, head->edge_mask);
	}
	return 0;
}

/* The __u32 number AT of those that begin at LINE; OTHERWISE if there is no such line. */
static __always_inline __u32 bw_word(bw_image_t image, __u32 line, __u32 at, __u32 otherwise)
{
	const __u32 *words = (const __u32 *)bw_line(image, line + (at >> 4));

	return words ? words[at & 15] : otherwise;
}

/* One byte further in the byte automaton. Row 0: nothing can match any more; BW_STEP_BROKEN is no row. */
static __always_inline __u32 bw_glob_byte(bw_image_t image, const struct bw_image_head *head, __u32 row, __u8 byte)
{
	return bw_word(image, head->glob_line, row * 256 + byte, BW_STEP_BROKEN);
}

/* Which of its ends the byte automaton has come to with a name that ended in ROW; 0 where no glob matches. */
static __always_inline __u32 bw_glob_end(bw_image_t image, const struct bw_image_head *head, __u32 row)
{
	if (!row || row >= BW_STEP_BROKEN)
		return row;
	return bw_word(image, head->glob_end_line, row, BW_STEP_BROKEN);
}

static __u32 bw_glob_name(bw_image_t image, const struct bw_image_head *head, __u32 row, const __u64 *words, __u32 length,
			  __u32 room);

/* One component further. */
static __always_inline __u32 bw_step(bw_image_t image, const struct bw_image_head *head, __u32 state, const __u64 *words,
				     __u32 length, __u32 room)
{
	const struct bw_state *now;
	__u32 to, end;

	if (!state)
		return 0;
	to = bw_edge(image, head, state, words, length, room);
	if (to)
		return to;
	now = bw_state_at(image, head, state);
	if (!now)
		return BW_STEP_BROKEN;
	if (now->glob) {
		end = bw_glob_end(image, head, bw_glob_name(image, head, now->glob, words, length, room));
		if (end == BW_STEP_BROKEN)
			return end;
		if (end)
			return bw_word(image, 0, now->targets + end, BW_STEP_BROKEN);
	}
	return now->other;
}

/* What the rules of SET say to DOMAIN. */
static __always_inline const struct bw_cell *bw_cell(bw_image_t image, const struct bw_image_head *head, __u32 set, __u32 domain)
{
	__u32 cell = bw_word(image, head->cell_index_line, set * head->domains + domain, BW_STEP_BROKEN);

	return cell == BW_STEP_BROKEN ? 0 : (const struct bw_cell *)bw_line(image, head->cell_line + cell);
}

/*
 * Whether a directory may go from state FROM to state TO as far as its contents are concerned: 0 it may; else it would leave what is
 * refused (BW_LIVE_DENY) or only told of (BW_LIVE_WARN) below it. In one and the same state the same rules hold, also below.
 */
static __always_inline int bw_moves(bw_image_t image, const struct bw_image_head *head, const struct bw_image_tail *tail,
				    __u32 domain, __u32 from, __u32 to)
{
	const struct bw_state *state;
	const struct bw_live *live = 0;
	__u32 line;

	if (from == to)
		return 0;
	state = bw_state_at(image, head, from);
	if (state) {
		line = bw_word(image, 0, state->targets, BW_STEP_BROKEN);
		if (line != BW_STEP_BROKEN)
			live = (const struct bw_live *)bw_line(image, tail->live_line + line);
	}
	if (!live || (live->deny[(domain >> 6) & 3] >> (domain & 63) & 1))
		return BW_LIVE_DENY;
	return live->warn[(domain >> 6) & 3] >> (domain & 63) & 1 ? BW_LIVE_WARN : 0;
}

/* Sums of cells: rules are alternatives, whatever they matched by. */
struct bw_rights {
	__u64 allow, deny, warn, audit;
};

static __always_inline void bw_add(struct bw_rights *rights, const struct bw_cell *cell)
{
	rights->allow |= cell->allow;
	rights->deny |= cell->deny;
	rights->warn |= cell->warn;
	rights->audit |= cell->audit;
}

/*
 * Precedence: a deny rule wins over every allow rule; an allow rule wins over the default; audit rules decide nothing. A deny rule in audit
 * mode is told where it would have decided, and permits nothing that the rest does not.
 */
struct bw_outcome {
	__u64 denied, warned, audited;
};

static __always_inline struct bw_outcome bw_decide(const struct bw_rights *rights, __u64 default_deny, __u64 default_warn,
						   __u64 default_audit, __u64 ops)
{
	struct bw_outcome outcome;

	outcome.denied = ops & (rights->deny | (default_deny & ~rights->allow));
	outcome.warned = ops & ~outcome.denied & (rights->warn | (default_warn & ~rights->allow));
	outcome.audited = ops & ~outcome.denied & ~outcome.warned & (rights->audit | default_audit);
	return outcome;
}
#endif
