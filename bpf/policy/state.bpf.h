/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs keep: the image in force, who is in which domain, where superblocks are mounted, what is known about directories. */
#ifndef BPFWARDEN_POLICY_STATE_BPF_H
#define BPFWARDEN_POLICY_STATE_BPF_H

#include "kernel.h"
#include "policy_event.h"

typedef void *bw_image_t;
static __always_inline const void *bw_line(bw_image_t image, __u32 line)
{
	return bpf_map_lookup_elem(image, &line);
}
#include "policy_rules.h"

/* 0: in force; 1: what was before, in force again when control.rollback_at has come. */
struct bw_images {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, BW_LINE_SIZE);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct bw_images);
} images SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* user space writes one word, and leaves the counts beside it alone */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bw_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_task);
} tasks SEC(".maps");

/* By device number of the superblock. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct bw_mounted);
} mounted SEC(".maps");

/* What was read of a place is of this superblock, or it is read again: what stands in the map by then stays for longer than that takes. */
#define BW_PLACES_READ 3

/*
 * Where a task works on what does not fit its stack. Programs are preemptible, and a task runs one of these hooks at a time: in a map by
 * processor another task could write over it between two instructions. What is decided by and what is told are apart: a signal that an
 * interrupt sends is told in the middle of whatever the task does.
 */
struct bw_work {
	__u64 dentries[BW_MAX_DEPTH];
	__u32 depth;
	__u32 reserved;
	__u64 name[BW_MAX_NAME / 8 + 1];
	struct bw_rights had, gets; /* by the old and the new name */
	__u32 from, to;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_work);
} works SEC(".maps");

struct bw_directory;

struct bw_view {
	bw_image_t image;
	const struct bw_image_head *head;
	const struct bw_domain *domain;
	/* What is kept about the directory of an open file, looked for at .sequence. */
	struct bw_directory *entry;
	__u64 stamp; /* generation, mounts; see path.bpf.h */
	__u32 number; /* of the domain */
	__u32 sequence; /* of renames, when this was read */
	/* Sets of rules that are not by path: by type of file system, by identity. */
	__u32 type_set, identity_set;
	union {
		/* A name of up to BW_EDGE_INLINE bytes that is just being looked at. Here, as the 512 bytes of stack are for all frames. */
		__u64 words[BW_ROOM_SHORT / 8];
		/* After the walk: operations that pass in silence there. */
		__u64 quiet;
	};
};

static __always_inline struct bw_control *bw_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Taken once in a hook: everything it decides comes from this image. */
static __always_inline bw_image_t bw_image(const struct bw_control *now)
{
	__u32 slot = 0;

	if (now->rollback_at && now->rollback_at <= bpf_ktime_get_boot_ns())
		slot = 1;
	return bpf_map_lookup_elem(&images, &slot);
}

/* The task's entry. A task without storage of any BPF program is the common case, and seen without a call. */
static __always_inline struct bw_task *bw_current(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!task->bpf_storage)
		return NULL;
	return bpf_task_storage_get(&tasks, task, 0, 0);
}

static __always_inline struct bw_work *bw_work(void)
{
	return bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak; /* 6.2 */

/* 32 bits of the kernel's memory. A kernel type with just these is cast to, as there is no kfunc for a plain number. */
static __always_inline __u32 bw_read_word(const void *address)
{
	__u32 word = ~0u;

	if (bpf_rdonly_cast)
		return ((struct seqcount *)bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct seqcount)))->sequence;
	bpf_probe_read_kernel(&word, sizeof(word), address);
	return word;
}

/*
 * The same as bpf_task_storage_get() finds, without it: in 6.1 it returns null to a task that has interrupted another one in it, on a kernel
 * that lets it (preempt=full). Whoever is in a domain would be in none then.
 */
#define BW_STORAGES 64
static __noinline __u32 bw_listed_domain(void)
{
	/* One word of stack, and nothing that a caller would have to keep: programs have none left. */
	void *at = (void *)bpf_get_current_task_btf()->bpf_storage + bpf_core_field_offset(struct bpf_local_storage, list);
	__u64 word;

	for (int i = 0; i < BW_STORAGES; i++) {
		if (bpf_probe_read_kernel(&word, sizeof(word), at) || !word)
			return 0;
		at = (void *)word;
		if (bpf_probe_read_kernel(&word, sizeof(word), at + bpf_core_field_offset(struct bpf_local_storage_elem, sdata) -
								       bpf_core_field_offset(struct bpf_local_storage_elem, snode)))
			return 0;
		if (word == (__u64)&tasks) {
			if (bpf_probe_read_kernel(&word, sizeof(word),
						  at + bpf_core_field_offset(struct bpf_local_storage_elem, sdata) -
							  bpf_core_field_offset(struct bpf_local_storage_elem, snode) +
							  bpf_core_field_offset(struct bpf_local_storage_data, data)))
				return 0;
			return word;
		}
	}
	return 0;
}

/*
 * The current task's domain, 0 if it is in none. What bpf_task_storage_get() does first, without a call: the entry is where this map's were
 * found before, or the helper looks for it. Every open of every confined task comes through here.
 */
static __always_inline __u32 bw_current_domain(void)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct bpf_local_storage *storage = current->bpf_storage;
	struct bw_task *task;

	if (!storage)
		return 0;
	if (bpf_rdonly_cast) {
		__u64 index = ((struct bpf_local_storage_map *)&tasks)->cache_idx & 15;
		struct bpf_local_storage *slot =
			bpf_rdonly_cast((void *)storage + index * sizeof(void *), bpf_core_type_id_kernel(struct bpf_local_storage));
		struct bpf_local_storage_data *data = slot->cache[0];

		if (data && data->smap == (void *)&tasks) {
			__u32 domain = bw_read_word((void *)data + bpf_core_field_offset(struct bpf_local_storage_data, data));

			barrier_var(domain); /* or the load would be one instruction with the one below, of another kind of pointer */
			return domain;
		}
	}
	task = bpf_task_storage_get(&tasks, current, 0, 0);
	if (task)
		return task->domain;
	return bpf_rdonly_cast ? 0 : bw_listed_domain();
}

/* An image's generation: the one word of it that is needed where all else is known already, read without a call. */
static __always_inline __u32 bw_generation(bw_image_t image)
{
	const struct bw_image_head *head;

	if (bpf_rdonly_cast) {
		void *array = bpf_rdonly_cast(image, bpf_core_type_id_kernel(struct bpf_array));

		return bw_read_word(array + bpf_core_field_offset(struct bpf_array, value) +
				    __builtin_offsetof(struct bw_image_head, generation));
	}
	head = bw_line(image, 0);
	return head ? head->generation : 0;
}

/* Takes the image in force, for DOMAIN. Not when there is no policy. */
static __always_inline bool bw_take(struct bw_view *view, __u32 domain)
{
	struct bw_control *now = bw_control();

	if (!now)
		return false;
	view->image = bw_image(now);
	if (!view->image)
		return false;
	view->number = domain;
	view->entry = NULL;
	view->stamp = ((__u64)bw_generation(view->image) << 32 | ((__u64)now->mounts << 1 & 0xffffffff)) ^ (now->secret & ~1ull);
	return true;
}

/* Whether DOMAIN has anything to say there. */
static __always_inline bool bw_know(struct bw_view *view)
{
	view->type_set = 0;
	view->identity_set = 0;
	view->head = bw_line(view->image, 0);
	if (!view->head || view->number >= view->head->domains)
		return false;
	view->domain = bw_line(view->image, view->head->domain_line + view->number * BW_DOMAIN_LINES);
	return view->domain != NULL;
}

static __always_inline bool bw_look(struct bw_view *view, __u32 domain)
{
	return bw_take(view, domain) && bw_know(view);
}

static __always_inline bool bw_confined(struct bw_view *view)
{
	__u32 domain = bw_current_domain();

	return domain && bw_look(view, domain);
}
#endif
