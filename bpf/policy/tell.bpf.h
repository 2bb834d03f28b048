/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events. What the kernel refuses, and what it permits although somebody wants to know, is one record in a ring: refusals in one of their own,
 * which a flood of anything else cannot fill. Each processor numbers its records, before it knows whether there is room: a hole is a loss.
 *
 * Texts are for people. They are walked like the names that decide, without the check for renames, and decide nothing.
 */
#ifndef BPFWARDEN_POLICY_TELL_BPF_H
#define BPFWARDEN_POLICY_TELL_BPF_H

#include "pins.bpf.h"

#define BW_CPUS 1024
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} denials SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} others SEC(".maps");
/* The last number of each processor: for denials, for the others. Not a map by processor: the program can be moved between two instructions. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * BW_CPUS);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");
/* How often each rule refused, would have, or told. */
struct bw_hit {
	__u32 generation;
	__u32 rule;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct bw_hit);
	__type(value, __u64);
} hits SEC(".maps");

struct bw_telling {
	struct bw_event event;
	char text[BW_EVENT_TEXT_ROOM]; /* right behind the event: both are one record */
	__u32 at;                      /* the text's end */
	__u32 left;
	__u32 sets[5];                 /* of rules that match, by path, type, identity and labels */
	__u32 reserved;
	__u64 roots[BW_EVENT_TEXTS];   /* dentries that the texts are of */
	__u64 dentry;
	char type[32];
	__u64 dentries[BW_MAX_DEPTH];
};
_Static_assert(sizeof(struct bw_telling) <= 7936, "from 7.0 on a task's storage is allocated from caches of at most 8 KiB");
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_telling);
} tellings SEC(".maps");

/* What a hook knows of its object, for the event. Small: it is on the stack under every walk. */
#define BW_RULE_KNOWN (1u << 31)
struct bw_object {
	__u64 ops;
	struct dentry *dentry, *second;
	const struct bw_address *address;
	__u32 set; /* of the rules that match, or the number of the rule with BW_RULE_KNOWN */
	__u32 detail;
	__u32 peer_domain;
	__u32 peer_pid;
	__u16 hook;
	__u8 flags;
};

/* All numbers of a text are kept in memory: in registers, each length would be another case to verify. */
struct bw_writing {
	struct bw_view *view;
	struct bw_telling *telling;
};

static __always_inline void bw_append(struct bw_telling *telling, const void *text, __u32 length)
{
	__u32 at = telling->at;

	barrier_var(length);
	if (length > 255)
		length = 255;
	barrier_var(length);
	if (at > BW_EVENT_TEXT_ROOM - 256)
		telling->event.flags |= BW_EVENT_CUT;
	else if (!bpf_probe_read_kernel(&telling->text[at], length, text))
		telling->at = at + length;
}

static long bw_append_name(__u64 index, struct bw_writing *writing)
{
	struct bw_telling *telling = writing->telling;
	struct dentry *dentry;
	__u32 left = telling->left;
	const char slash = '/';

	(void)index;
	if (!left)
		return 1;
	left--;
	telling->left = left;
	dentry = (struct dentry *)telling->dentries[left & (BW_MAX_DEPTH - 1)];
	bw_append(telling, &slash, 1);
	bw_append(telling, BPF_CORE_READ(dentry, d_name.name), BPF_CORE_READ(dentry, d_name.len));
	return 0;
}

static long bw_climb(__u64 index, struct bw_writing *writing)
{
	struct bw_telling *telling = writing->telling;
	__u64 dentry = telling->dentry, parent = (__u64)BPF_CORE_READ((struct dentry *)dentry, d_parent);

	if (parent == dentry || !parent)
		return 1;
	telling->dentries[index & (BW_MAX_DEPTH - 1)] = dentry;
	telling->left = index + 1;
	telling->dentry = parent;
	return 0;
}

static long bw_append_path(__u64 index, struct bw_writing *writing)
{
	struct bw_telling *telling = writing->telling;
	struct bw_mounted *place = NULL;
	struct super_block *sb;
	struct dentry *dentry;
	__u32 device, before = telling->at;

	if (index >= BW_EVENT_TEXTS)
		return 1;
	dentry = (struct dentry *)telling->roots[index];
	if (!dentry)
		return 0;
	telling->dentry = (__u64)dentry;
	sb = BPF_CORE_READ(dentry, d_sb);
	device = BPF_CORE_READ(sb, s_dev);
	telling->left = 0;
	bpf_loop(BW_MAX_DEPTH, bw_climb, writing, 0);
	if (!(writing->view->domain->flags & BW_DOMAIN_OWN_ROOT)) {
		for (int reads = 0; reads < BW_PLACES_READ; reads++) {
			place = bpf_map_lookup_elem(&mounted, &device);
			if (!place)
				break;
			telling->at = before;
			bw_append(telling, place->text, place->length);
			barrier();
			if (place->device == device)
				break;
		}
	}
	if (!place) {
		long length = bpf_probe_read_kernel_str(telling->type, sizeof(telling->type), BPF_CORE_READ(sb, s_type, name));
		const char colon = ':';

		telling->event.flags |= BW_EVENT_DETACHED;
		if (length > 1)
			bw_append(telling, telling->type, length - 1);
		bw_append(telling, &colon, 1);
	}
	if (!telling->left && (!place || !place->length)) {
		const char slash = '/';

		bw_append(telling, &slash, 1);
	}
	bpf_loop(BW_MAX_DEPTH, bw_append_name, writing, 0);
	telling->event.texts[index] = telling->at - before;
	return 0;
}

struct bw_search {
	struct bw_view *view;
	const struct bw_image_tail *tail;
	__u32 first, count;
	__u64 ops;
	__u32 effect;
	__u32 capability; /* ~0: it is about none */
	__u32 found;
};

/* One step of bw_rule_of(), which is a loop that a verifier would go through again for each hook. */
static long bw_search_rule(__u64 index, struct bw_search *search)
{
	struct bw_view *view = search->view;
	const struct bw_rule *rule;

	if (index >= search->count)
		return 1;
	rule = bw_line(view->image, search->tail->rule_line + bw_word(view->image, search->tail->list_line, search->first + index, 0));
	if (!rule)
		return 1;
	if (rule->effect != search->effect || !(rule->ops & search->ops) ||
	    !(rule->domains[(view->number >> 6) & 3] >> (view->number & 63) & 1))
		return 0;
	if (search->capability < 64 && !(rule->capabilities >> (search->capability & 63) & 1))
		return 0;
	search->found = rule->number;
	return 1;
}

static long bw_search_set(__u64 index, struct bw_writing *sought)
{
	struct bw_telling *telling = sought->telling;
	struct bw_search search = {.view = sought->view};
	const struct bw_set *set;
	__u8 told = telling->event.told;

	if (index > 4)
		return 1;
	search.ops = telling->event.decided;
	search.capability = search.ops == BW_OP_CAPABLE ? telling->event.detail : ~0u;
	search.effect = told == BW_TOLD_DENIED ? BW_EFFECT_DENY : told == BW_TOLD_WARNED ? BW_EFFECT_WARN : BW_EFFECT_AUDIT;
	search.tail = bw_line(search.view->image, 1);
	if (!search.tail)
		return 1;
	set = bw_set_at(search.view->image, search.tail, telling->sets[index]);
	if (!set)
		return 1;
	search.first = set->first_rule;
	search.count = set->rule_count;
	bpf_loop(BW_MAX_TOLD, bw_search_rule, &search, 0);
	telling->event.rule = search.found;
	return search.found != 0;
}

static __always_inline void bw_count_hit(__u32 generation, __u32 rule)
{
	struct bw_hit key = {generation, rule};
	__u64 one = 1, *count = bpf_map_lookup_elem(&hits, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	else if (bpf_map_update_elem(&hits, &key, &one, BPF_NOEXIST) && (count = bpf_map_lookup_elem(&hits, &key)))
		__sync_fetch_and_add(count, 1);
}

static __always_inline void bw_tell_actor(struct bw_telling *telling)
{
	struct task_struct *task = bpf_get_current_task_btf(), *parent = task->group_leader->real_parent;
	struct bw_event *event = &telling->event;
	__u64 ids = bpf_get_current_pid_tgid(), owner = bpf_get_current_uid_gid();

	event->pid = ids >> 32;
	event->tid = ids;
	event->uid = owner;
	event->gid = owner >> 32;
	event->start_time = task->group_leader->start_boottime;
	event->cgroup = bpf_get_current_cgroup_id();
	event->userns = task->cred->user_ns->ns.inum;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	for (int i = 0; i < BW_EVENT_PARENTS; i++) {
		__u32 pid = BPF_CORE_READ(parent, tgid);

		if (!pid)
			break;
		event->parents[i].pid = pid;
		bpf_probe_read_kernel(event->parents[i].comm, sizeof(event->parents[i].comm), parent->comm);
		parent = BPF_CORE_READ(parent, group_leader, real_parent);
	}
}

static __always_inline void bw_tell_target(struct bw_telling *telling)
{
	struct dentry *dentry = (struct dentry *)telling->roots[BW_TEXT_PATH];
	struct inode *inode;

	if (!dentry)
		return;
	inode = BPF_CORE_READ(dentry, d_inode);
	telling->event.device = BPF_CORE_READ(dentry, d_sb, s_dev);
	if (!inode)
		return;
	telling->event.inode = BPF_CORE_READ(inode, i_ino);
	telling->event.inode_generation = BPF_CORE_READ(inode, i_generation);
	telling->event.mode = BPF_CORE_READ(inode, i_mode);
	if (!BPF_CORE_READ(inode, i_nlink))
		telling->event.flags |= BW_EVENT_DELETED;
}

/* Completes and sends. All that differs from hook to hook is in memory now, so that this is one case to verify. */
static __noinline bool bw_send(struct bw_view *view, struct bw_telling *telling)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct bw_writing writing = {.view = view, .telling = telling};
	struct dentry *exe;
	__u32 length;

	if (telling->sets[0] & BW_RULE_KNOWN)
		telling->event.rule = telling->sets[0] & ~BW_RULE_KNOWN;
	else
		bpf_loop(5, bw_search_set, &writing, 0);
	/* A way into a domain is no rule, and decides nothing. */
	if (telling->event.told != BW_TOLD_ENTERED)
		bw_count_hit(telling->event.generation, telling->event.rule);
	bw_tell_actor(telling);
	/* The file is held by the task's own memory. */
	exe = BPF_CORE_READ(task, mm, exe_file, f_path.dentry);
	telling->roots[BW_TEXT_EXE] = (__u64)exe;
	if (exe) {
		telling->event.exe_device = BPF_CORE_READ(exe, d_sb, s_dev);
		telling->event.exe_inode = BPF_CORE_READ(exe, d_inode, i_ino);
	}
	telling->roots[BW_TEXT_CWD] = (__u64)BPF_CORE_READ(task, fs, pwd.dentry);
	telling->roots[BW_TEXT_ROOT] = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	bw_tell_target(telling);
	telling->at = 0;
	bpf_loop(BW_EVENT_TEXTS, bw_append_path, &writing, 0);
	length = telling->at;
	barrier_var(length);
	if (length > BW_EVENT_TEXT_ROOM)
		length = BW_EVENT_TEXT_ROOM;
	barrier_var(length);
	if (telling->event.told == BW_TOLD_DENIED)
		return !bpf_ringbuf_output(&denials, telling, sizeof(struct bw_event) + length, 0);
	return !bpf_ringbuf_output(&others, telling, sizeof(struct bw_event) + length, 0);
}

/* The sets of rules by label, of what was just decided. */
static __noinline int bw_tell_labels(struct bw_view *view, struct bw_telling *telling, __u64 decided)
{
	struct bw_found *found = NULL;

	if (view->domain->flags & BW_DOMAIN_BY_LABEL && decided & BW_OPS_LABEL && !(telling->event.flags & (BW_EVENT_IN_KERNEL | BW_EVENT_BLIND)))
		found = bpf_task_storage_get(&founds, bpf_get_current_task_btf(), 0, 0);
	telling->sets[3] = found ? found->sets[BW_PIN_LABEL] : 0;
	telling->sets[4] = found ? found->sets[BW_PIN_USER_LABEL] : 0;
	return 0;
}

/* Takes a number and writes down what the hook knows. Null: this event is lost. */
static __noinline struct bw_telling *bw_begin(struct bw_view *view, struct bw_object *object, __u32 told, __u64 decided)
{
	struct bw_telling *telling;
	__u32 cpu = bpf_get_smp_processor_id(), slot = cpu & (BW_CPUS - 1);
	__u64 *last, number;

	if (told != BW_TOLD_DENIED)
		slot += BW_CPUS;
	last = bpf_map_lookup_elem(&numbers, &slot);
	if (!last)
		return NULL;
	number = __sync_fetch_and_add(last, 1) + 1;
	telling = bpf_task_storage_get(&tellings, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!telling)
		return NULL;
	__builtin_memset(&telling->event, 0, sizeof(telling->event));
	telling->event.number = number;
	telling->event.time = bpf_ktime_get_boot_ns();
	telling->event.cpu = cpu;
	telling->event.hook = object->hook;
	telling->event.told = told;
	telling->event.flags = object->flags;
	telling->event.generation = view->head->generation;
	telling->event.domain = view->number;
	telling->event.ops = object->ops;
	telling->event.decided = decided;
	telling->event.detail = object->detail;
	telling->event.peer_pid = object->peer_pid;
	telling->event.peer_domain = object->peer_domain;
	if (object->address) {
		telling->event.family = object->address->family;
		telling->event.port = object->address->port;
		__builtin_memcpy(telling->event.address, object->address->bytes, sizeof(telling->event.address));
	}
	telling->sets[0] = object->set;
	telling->sets[1] = view->type_set;
	telling->sets[2] = view->identity_set;
	bw_tell_labels(view, telling, decided);
	telling->roots[BW_TEXT_PATH] = (__u64)object->dentry;
	telling->roots[BW_TEXT_SECOND] = (__u64)object->second;
	return telling;
}

/* False: the event is lost, and counted. */
static __always_inline bool bw_tell(struct bw_view *view, struct bw_object *object, __u32 told, __u64 decided)
{
	struct bw_telling *telling = bw_begin(view, object, told, decided);
	struct bw_control *now;

	if (telling && bw_send(view, telling))
		return true;
	now = bw_control();
	if (now)
		__sync_fetch_and_add(told == BW_TOLD_DENIED ? &now->lost_denials : &now->lost_others, 1);
	return false;
}
#endif
