/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The name of a file: its path within its superblock, walked over dentries, behind the place where that superblock is mounted in the
 * policy's mount namespace. Not bpf_path_d_path(): after a chroot, from a cloned or lazily unmounted tree it succeeds with another path.
 *
 * Soundness: a name counts only if nothing was renamed between the first and the last read of it (rename_lock's sequence, which each
 * d_move() changes before and after). What is kept about a directory (the automaton's state after its path) is kept with that sequence, the
 * image's generation, the count of mounts, whether the domain names files by their own root, and a time, and is void when any of these
 * differs: 2^31 renames, after which the sequence would repeat, take longer than the time's unit. The words of an entry are written one by one by several processors at once; the last one
 * binds them together. A file's own name is read each time: link and unlink change no sequence. What is kept for names is kept with
 * their directory, and so for what they are in it, not for an inode or a dentry that could be another's tomorrow.
 */
#ifndef BPFWARDEN_POLICY_PATH_BPF_H
#define BPFWARDEN_POLICY_PATH_BPF_H

#include "state.bpf.h"

extern const void rename_lock __ksym;

#define SB_NOUSER    (1ul << 31) /* pipes, sockets, memfds: no user can mount it */
#define SB_KERNMOUNT (1ul << 22) /* the kernel's own mount: huge pages without a file */
#define S_IFMT       0170000
#define S_IFREG      0100000
#define S_IFDIR      0040000
#define BW_WALKS 8 /* a walk that a rename interrupted is repeated this often */

/* What passed in silence for a name in a directory: operations of one domain. */
#define BW_QUIET_NAMES 8
struct bw_quiet_name {
	__u64 name[3]; /* zeros behind it, its length in the last byte */
	__u64 ops;
	__u64 domain;
	__u64 check;
};

struct bw_directory {
	__u64 image;  /* generation, mounts, whether by the domain's own root */
	__u64 moment; /* rename sequence, era */
	__u64 state;  /* state, check */
	struct bw_quiet_name names[BW_QUIET_NAMES];
};
struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bw_directory);
} directories SEC(".maps");

static __always_inline __u32 bw_rename_sequence(void)
{
	return bw_read_word(&rename_lock);
}

/* Half a minute and more, at any HZ that there is. */
static __always_inline __u32 bw_era(void)
{
	return bpf_jiffies64() >> 15;
}

/* When and by what image a state was found. */
struct bw_stamp {
	__u64 image;  /* generation, mounts, whether by the domain's own root */
	__u64 moment; /* rename sequence, era */
};

static __always_inline __u32 bw_directory_check(struct bw_stamp stamp, __u32 state)
{
	__u64 h = (stamp.image ^ 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;

	h = (h ^ (h >> 31) ^ stamp.moment) * 0x94d049bb133111ebull;
	h = (h ^ (h >> 29) ^ state) * 0x9e3779b97f4a7c15ull;
	return h >> 32;
}

/* The state that is kept about a directory, BW_STEP_BROKEN if there is none of this moment. */
static __always_inline __u32 bw_known(const struct bw_directory *entry, struct bw_stamp stamp)
{
	__u64 known;

	if (!entry || entry->image != stamp.image || entry->moment != stamp.moment)
		return BW_STEP_BROKEN;
	known = entry->state;
	return known >> 32 == bw_directory_check(stamp, known) ? known : BW_STEP_BROKEN;
}

static __always_inline void bw_keep(struct inode *directory, struct bw_stamp stamp, __u32 state)
{
	struct bw_directory *entry = bpf_inode_storage_get(&directories, directory, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!entry)
		return;
	entry->state = 0;
	barrier();
	entry->image = stamp.image;
	entry->moment = stamp.moment;
	barrier();
	entry->state = (__u64)bw_directory_check(stamp, state) << 32 | state;
}

/* Binds the words of an entry together, and to their moment: nothing else does. */
static __always_inline __u64 bw_quiet_check(struct bw_stamp stamp, const struct bw_quiet_name *name)
{
	__u64 h = (stamp.image ^ stamp.moment << 1 ^ name->name[0]) * 0x9e3779b97f4a7c15ull;

	h = (h ^ (h >> 31) ^ name->name[1] ^ name->ops << 8) * 0xbf58476d1ce4e5b9ull;
	return (h ^ (h >> 29) ^ name->name[2] ^ name->domain) * 0x94d049bb133111ebull;
}

/* Two words of the kernel's memory; what is not mapped reads as zero. */
static __always_inline void bw_read_pair(const void *address, __u64 *first, __u64 *second)
{
	struct timespec64 *pair = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct timespec64));

	*first = pair->tv_sec;
	*second = pair->tv_nsec;
}

/* A name of up to BW_EDGE_INLINE bytes, zeros behind it. False: it cannot be read. */
static __always_inline bool bw_name_words(__u64 words[3], const unsigned char *text, __u32 length)
{
	__u64 bits = length << 3, rest;

	if (!bpf_rdonly_cast) {
		words[0] = 0;
		words[1] = 0;
		words[2] = 0;
		return !bpf_probe_read_kernel(words, length & 31, text);
	}
	/* Whole words, and what is behind the name taken away. */
	bw_read_pair(text, &words[0], &words[1]);
	words[2] = 0;
	if (length >= 16) {
		bw_read_pair(text + 16, &words[2], &rest);
		words[2] &= (1ull << (bits & 63)) - 1;
	} else if (length >= 8) {
		words[1] &= (1ull << (bits & 63)) - 1;
	} else {
		words[0] &= (1ull << (bits & 63)) - 1;
		words[1] = 0;
	}
	return true;
}

/* The name of DENTRY; false if it is too long to be kept. */
static __always_inline bool bw_quiet_name(struct bw_quiet_name *name, struct dentry *dentry)
{
	__u32 length = dentry->d_name.len;

	if (length > BW_EDGE_INLINE || !bw_name_words(name->name, dentry->d_name.name, length))
		return false;
	name->name[2] |= (__u64)length << 56;
	return true;
}

static __always_inline __u32 bw_quiet_slot(const struct bw_quiet_name *name)
{
	return ((name->name[0] ^ name->name[1] ^ name->name[2]) * 0x9e3779b97f4a7c15ull) >> 61;
}

/* Whether OPS on this name are known to pass in silence. */
static __always_inline bool bw_is_quiet(const struct bw_directory *entry, struct dentry *dentry, struct bw_stamp stamp, __u32 domain,
					__u64 ops)
{
	const struct bw_quiet_name *kept;
	struct bw_quiet_name name;

	if (!entry || !bw_quiet_name(&name, dentry))
		return false;
	name.domain = domain;
	kept = &entry->names[bw_quiet_slot(&name) & (BW_QUIET_NAMES - 1)];
	name.ops = kept->ops;
	return !((kept->name[0] ^ name.name[0]) | (kept->name[1] ^ name.name[1]) | (kept->name[2] ^ name.name[2]) |
		 (kept->domain ^ name.domain) | (ops & ~name.ops)) &&
	       kept->check == bw_quiet_check(stamp, &name);
}

static __always_inline void bw_keep_quiet(struct bw_directory *entry, struct dentry *dentry, struct bw_stamp stamp, __u32 domain,
					  __u64 ops)
{
	struct bw_quiet_name name, *kept;

	if (!entry || !bw_quiet_name(&name, dentry))
		return;
	name.domain = domain;
	name.ops = ops;
	name.check = bw_quiet_check(stamp, &name);
	kept = &entry->names[bw_quiet_slot(&name) & (BW_QUIET_NAMES - 1)];
	kept->check = 0;
	barrier();
	kept->name[0] = name.name[0];
	kept->name[1] = name.name[1];
	kept->name[2] = name.name[2];
	kept->ops = ops;
	kept->domain = domain;
	barrier();
	kept->check = name.check;
}

/*
 * The same by the path of an open file. Where struct file has its path in a union (6.19), a verifier takes no pointer out of it for good,
 * and the parent's inode could not be looked up. A path as a global function's trusted argument (6.8) is taken.
 */
__noinline __u32 bw_known_by_path(struct path *path __arg_trusted, __u64 image, __u64 moment)
{
	struct inode *inode = path->dentry->d_parent->d_inode;

	return inode ? bw_known(bpf_inode_storage_get(&directories, inode, 0, 0), (struct bw_stamp){image, moment}) : BW_STEP_BROKEN;
}

__noinline int bw_keep_by_path(struct path *path __arg_trusted, __u64 image, __u64 moment, __u32 state)
{
	struct inode *inode = path->dentry->d_parent->d_inode;

	if (inode)
		bw_keep(inode, (struct bw_stamp){image, moment}, state);
	return 0;
}

__noinline int bw_is_quiet_by_path(struct path *path __arg_trusted, __u64 image, __u64 moment, __u32 domain, __u64 ops)
{
	struct inode *inode = path->dentry->d_parent->d_inode;

	return inode && bw_is_quiet(bpf_inode_storage_get(&directories, inode, 0, 0), path->dentry, (struct bw_stamp){image, moment},
				    domain, ops);
}

__noinline int bw_keep_quiet_by_path(struct path *path __arg_trusted, __u64 image, __u64 moment, __u32 domain, __u64 ops)
{
	struct inode *inode = path->dentry->d_parent->d_inode;

	if (inode)
		bw_keep_quiet(bpf_inode_storage_get(&directories, inode, 0, 0), path->dentry, (struct bw_stamp){image, moment}, domain,
			      ops);
	return 0;
}

struct bw_spelling {
	bw_image_t image;
	const struct bw_image_head *head;
	const __u8 *bytes;
	__u32 row, length;
};

static long bw_spell_short(__u64 index, struct bw_spelling *name)
{
	if (index >= name->length || index >= BW_ROOM_SHORT || !name->row || name->row >= BW_STEP_BROKEN)
		return 1;
	name->row = bw_glob_byte(name->image, name->head, name->row, name->bytes[index]);
	return 0;
}

static long bw_spell_long(__u64 index, struct bw_spelling *name)
{
	if (index >= name->length || !name->row || name->row >= BW_STEP_BROKEN)
		return 1;
	name->row = bw_glob_byte(name->image, name->head, name->row, name->bytes[index & (BW_ROOM_LONG - 1)]);
	return 0;
}

static __always_inline __u32 bw_glob_name(bw_image_t image, const struct bw_image_head *head, __u32 row, const __u64 *words,
					  __u32 length, __u32 room)
{
	struct bw_spelling name = {.image = image, .head = head, .bytes = (const __u8 *)words, .row = row, .length = length};

	if (room == BW_ROOM_SHORT)
		bpf_loop(BW_EDGE_INLINE, bw_spell_short, &name, 0);
	else
		bpf_loop(BW_MAX_NAME, bw_spell_long, &name, 0);
	return name.row;
}

/* Subprograms: the stack of each is its own while it runs. */
static __noinline __u32 bw_step_short(struct bw_view *view, __u32 state, __u32 length)
{
	return bw_step(view->image, view->head, state, view->words, length & 31, BW_ROOM_SHORT);
}

static __noinline __u32 bw_step_long(struct bw_view *view, __u32 state, const __u64 *words, __u32 length)
{
	return bw_step(view->image, view->head, state, words, length, BW_ROOM_LONG);
}

/* One component further, by a name in the kernel's memory. */
static __always_inline __u32 bw_step_name(struct bw_view *view, __u32 state, const unsigned char *text, __u32 length)
{
	if (!state)
		return 0;
	if (length <= BW_EDGE_INLINE) {
		if (!bw_name_words(view->words, text, length))
			return BW_STEP_BROKEN;
		return bw_step_short(view, state, length);
	} else {
		struct bw_work *work = bw_work();

		if (!work || length > BW_MAX_NAME)
			return BW_STEP_BROKEN;
		__builtin_memset(work->name, 0, sizeof(work->name));
		if (bpf_probe_read_kernel(work->name, length & 255, text))
			return BW_STEP_BROKEN;
		return bw_step_long(view, state, work->name, length);
	}
}

/* State at the root of a superblock that is mounted nowhere. 0: no pattern speaks of its type. */
static __noinline __u32 bw_detached(struct bw_view *view, struct super_block *sb)
{
	long length;

	/* bpf_probe_read_kernel_str() counts the final zero; no type has a name so long that it would be cut. */
	__builtin_memset(view->words, 0, sizeof(view->words));
	length = bpf_probe_read_kernel_str(view->words, BW_EDGE_INLINE + 1, BPF_CORE_READ(sb, s_type, name));
	if (length < 2)
		return BW_STEP_BROKEN;
	return bw_step_short(view, view->head->detached, length - 1);
}

/* State at the root of a superblock. */
static __noinline __u32 bw_superblock(struct bw_view *view, struct super_block *sb)
{
	__u32 device = sb->s_dev;
	__u32 state;

	if (!(view->domain->flags & BW_DOMAIN_OWN_ROOT)) {
		for (int reads = 0; reads < BW_PLACES_READ; reads++) {
			struct bw_mounted *place = bpf_map_lookup_elem(&mounted, &device);

			if (!place)
				break;
			for (int i = 0; i < BW_MOUNTED_IMAGES; i++) {
				if (place->in[i].generation != view->head->generation)
					continue;
				state = *(volatile __u32 *)&place->in[i].state;
				if (place->in[i].check == bw_mounted_check(device, view->head->generation, state))
					return state;
			}
		}
	}
	state = bw_detached(view, sb);
	/* No pattern speaks of this type. What nobody can mount has no place that a pattern could have meant; what can be mounted, had. */
	if (!state && !(BPF_CORE_READ(sb, s_flags) & SB_NOUSER))
		return BW_STEP_BROKEN;
	return state;
}

/*
 * State of what is in no directory: the root of a superblock; a memfd, a pipe, System V shared memory, which have a name all the same; or a
 * file that was opened by its handle while no name of it was known. What that one is called cannot be told.
 */
static __noinline __u32 bw_top(struct bw_view *view, struct dentry *dentry)
{
	struct super_block *sb = dentry->d_sb;
	struct inode *inode = dentry->d_inode;
	__u32 state;

	if (sb->s_root != dentry && inode && (inode->i_mode & S_IFMT) != S_IFDIR) {
		if (!(sb->s_flags & (SB_NOUSER | SB_KERNMOUNT)))
			return BW_STEP_BROKEN;
		/* No user has made it a place. (Namespaces' files are not SB_NOUSER, as they can be bind-mounted.) */
		state = bw_detached(view, sb);
		return state < BW_STEP_BROKEN ? bw_step_name(view, state, dentry->d_name.name, dentry->d_name.len) : state;
	}
	return bw_superblock(view, sb);
}

struct bw_descent {
	struct bw_view *view;
	struct bw_work *work;
	__u32 left;  /* components that are still to do */
	__u32 state;
};

static long bw_descend(__u64 index, struct bw_descent *descent)
{
	struct dentry *dentry;
	const unsigned char *name;
	__u32 length, at;

	(void)index;
	if (!descent->left || !descent->state || descent->state >= BW_STEP_BROKEN)
		return 1;
	at = --descent->left;
	dentry = (struct dentry *)descent->work->dentries[at & (BW_MAX_DEPTH - 1)];
	if (bpf_rdonly_cast) {
		dentry = bpf_rdonly_cast(dentry, bpf_core_type_id_kernel(struct dentry));
		name = dentry->d_name.name;
		length = dentry->d_name.len;
	} else {
		name = BPF_CORE_READ(dentry, d_name.name);
		length = BPF_CORE_READ(dentry, d_name.len);
	}
	descent->state = bw_step_name(descent->view, descent->state, name, length);
	return 0;
}

/* State after the whole path of DIRECTORY. Nothing is kept on the way: directories between are met when they are asked for. */
static __noinline __u32 bw_walk(struct bw_view *view, struct dentry *directory)
{
	struct bw_work *work = bw_work();
	struct bw_descent descent = {.view = view, .work = work};
	struct dentry *dentry = directory;

	if (!work)
		return BW_STEP_BROKEN;
	/* The depth is kept in memory: a number in a register would be another case to verify for each depth. */
	work->depth = BW_MAX_DEPTH;
	for (int i = 0; i < BW_MAX_DEPTH; i++) {
		struct dentry *parent = dentry->d_parent;

		if (parent == dentry) {
			work->depth = i;
			break;
		}
		work->dentries[i] = (__u64)dentry;
		dentry = parent;
	}
	if (work->depth >= BW_MAX_DEPTH)
		return BW_STEP_BROKEN;
	descent.state = bw_superblock(view, directory->d_sb);
	descent.left = work->depth;
	bpf_loop(BW_MAX_DEPTH, bw_descend, &descent, 0);
	return descent.state;
}

/* Without whether the domain names files by their own root. What is kept for names is kept for one domain, which says that, too. */
static __always_inline struct bw_stamp bw_stamp(struct bw_view *view, __u32 sequence)
{
	return (struct bw_stamp){
		.image = view->stamp,
		.moment = (__u64)sequence << 32 | bw_era(),
	};
}

struct bw_reading {
	struct bw_view *view;
	union {
		struct dentry *dentry;
		struct path *path; /* of an open file */
	};
	__u32 state;
};

static __always_inline long bw_read_path(struct bw_reading *reading, bool by_path)
{
	struct bw_view *view = reading->view;
	struct dentry *dentry = by_path ? reading->path->dentry : reading->dentry, *parent = dentry->d_parent;
	__u32 sequence = bw_rename_sequence(), state;

	if (sequence & 1)
		return 0;
	if (parent == dentry) {
		state = bw_top(view, dentry);
	} else {
		struct bw_stamp stamp = bw_stamp(view, sequence);
		struct inode *inode = parent->d_inode;

		stamp.image |= !!(view->domain->flags & BW_DOMAIN_OWN_ROOT);

		if (!inode)
			return 1;
		if (by_path) {
			state = bw_known_by_path(reading->path, stamp.image, stamp.moment);
		} else {
			const struct bw_directory *entry = view->entry;

			if (!entry || view->sequence != sequence) { /* as long as nothing is renamed, it is the same directory */
				view->entry = NULL;
				entry = bpf_inode_storage_get(&directories, inode, 0, 0);
			}
			state = bw_known(entry, stamp);
		}
		if (state >= BW_STEP_BROKEN) {
			state = bw_walk(view, parent);
			if (state < BW_STEP_BROKEN && bw_rename_sequence() == sequence) {
				if (by_path)
					bw_keep_by_path(reading->path, stamp.image, stamp.moment, state);
				else
					bw_keep(inode, stamp, state);
			}
		}
		if (state < BW_STEP_BROKEN)
			state = bw_step_name(view, state, dentry->d_name.name, dentry->d_name.len);
	}
	if (bw_rename_sequence() != sequence)
		return 0;
	reading->state = state;
	view->sequence = sequence;
	return 1;
}

static long bw_read_path_of_dentry(__u64 index, struct bw_reading *reading)
{
	(void)index;
	return bw_read_path(reading, false);
}

static long bw_read_path_of_file(__u64 index, struct bw_reading *reading)
{
	(void)index;
	return bw_read_path(reading, true);
}

/* State after the path of DENTRY; BW_STEP_BROKEN where it cannot be told. */
static __always_inline __u32 bw_path(struct bw_view *view, struct dentry *dentry)
{
	struct bw_reading reading = {.view = view, .dentry = dentry, .state = BW_STEP_BROKEN};

	bpf_loop(BW_WALKS, bw_read_path_of_dentry, &reading, 0);
	return reading.state;
}

/* The same of an open file, where its path is in a union (see bw_known_by_path). */
static __always_inline __u32 bw_file_path(struct bw_view *view, struct file *file)
{
	struct bw_reading reading = {.view = view, .path = &file->f_path, .state = BW_STEP_BROKEN};

	bpf_loop(BW_WALKS, bw_read_path_of_file, &reading, 0);
	return reading.state;
}
#endif
