/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Links without a process, a pin or a mount, from kernel 6.10: what a work queue of BPF calls runs in a thread of the kernel, and these share one
 * table of fds, which lives as long as the machine runs. A link that is made there stays until a program of this kind closes it; the guard refuses
 * to load others.
 *
 * The thread cannot be given an fd, so it loads the programs itself, from what user space has made ready: relocated instructions, which name maps
 * by their index in `map_fds`, and the types. Of all that it opens only the links stay open: an fd of a map there could be copied by whoever may
 * trace kernel threads.
 *
 * Soundness: while it does so, the guard takes this thread for its updater (bw_is_worker). It runs nothing but the function below meanwhile, which
 * was started by the updater, with what the updater has written.
 */
#include "guard/state.bpf.h"
#include "kernel_links.h"

extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym __weak;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym __weak;
/* One of the two: the kernel gives the second a further argument by itself (7.0). */
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int(callback)(void *map, int *key, void *value), unsigned int flags, void *aux) __ksym __weak;
extern int bpf_wq_set_callback(struct bpf_wq *wq, int(callback)(void *map, int *key, void *value), unsigned int flags) __ksym __weak;

struct bw_work { struct bpf_wq queue; };
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bw_work);
} works SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bw_batch);
} batches SEC(".maps");

/* As long as there are bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 8);
} bytes SEC(".maps");

struct bw_working {
	struct bw_batch *batch;
	__u64 bytes; /* an address: of the kernel, as is all that a command's pointers are */
	__u32 btf;   /* an fd */
	__u32 opened;
};

/* Up to what the first kernel with work queues knows. */
#define BW_ATTR_SIZE (__builtin_offsetof(union bpf_attr, core_relo_rec_size) + sizeof(__u32))

static __always_inline union bpf_attr *bw_no_attr(struct bw_batch *batch)
{
	__builtin_memset(&batch->attr, 0, sizeof(batch->attr));
	return &batch->attr;
}

static __always_inline long bw_stop(struct bw_batch *batch, enum bw_batch_step step, __u64 index, long error)
{
	batch->step = step;
	batch->index = index;
	batch->error = error;
	return 1;
}

static long bw_open_map(__u64 index, struct bw_working *working)
{
	struct bw_batch *batch = working->batch;
	union bpf_attr *attr;
	long fd;

	if (index >= BW_BATCH_MAPS)
		return 1;
	attr = bw_no_attr(batch);
	attr->map_id = batch->map_ids[index];
	fd = bpf_sys_bpf(BPF_MAP_GET_FD_BY_ID, attr, BW_ATTR_SIZE);
	if (fd < 0)
		return bw_stop(batch, BW_BATCH_OPEN_MAP, index, fd);
	batch->map_fds[index] = fd;
	working->opened = index + 1;
	return 0;
}

static long bw_close_map(__u64 index, struct bw_working *working)
{
	if (index >= BW_BATCH_MAPS)
		return 1;
	bpf_sys_close(working->batch->map_fds[index]);
	return 0;
}

/* What an fd of this thread leads to, if that is a link. */
static __noinline struct bpf_link *bw_link_at(__u32 number)
{
	struct files_struct *files = bpf_get_current_task_btf()->files;
	struct file **table, *file;

	if (number >= BPF_CORE_READ(files, fdt, max_fds))
		return NULL;
	table = BPF_CORE_READ(files, fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), table + number) || !file)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

static long bw_hold_one(__u64 index, struct bw_working *working)
{
	struct bw_batch *batch = working->batch;
	struct bw_batch_link *one;
	struct bpf_link *link;
	union bpf_attr *attr;
	long program, fd;

	if (index >= BW_BATCH_LINKS)
		return 1;
	one = &batch->link[index];
	attr = bw_no_attr(batch);
	attr->prog_type = BPF_PROG_TYPE_LSM;
	attr->expected_attach_type = BPF_LSM_MAC;
	attr->insns = working->bytes + one->instructions;
	attr->insn_cnt = one->instruction_count;
	attr->license = working->bytes + batch->license;
	attr->prog_flags = one->flags;
	__builtin_memcpy(attr->prog_name, one->name, sizeof(one->name));
	attr->attach_btf_id = one->attach_btf_id;
	attr->prog_btf_fd = working->btf;
	attr->func_info = working->bytes + one->functions;
	attr->func_info_cnt = one->function_count;
	attr->func_info_rec_size = one->function_size;
	attr->fd_array = (__u64)&batch->map_fds;
	program = bpf_sys_bpf(BPF_PROG_LOAD, attr, BW_ATTR_SIZE);
	if (program < 0)
		return bw_stop(batch, BW_BATCH_LOAD_PROGRAM, index, program);
	attr = bw_no_attr(batch);
	attr->link_create.prog_fd = program;
	attr->link_create.attach_type = BPF_LSM_MAC;
	fd = bpf_sys_bpf(BPF_LINK_CREATE, attr, BW_ATTR_SIZE);
	bpf_sys_close(program);
	if (fd < 0)
		return bw_stop(batch, BW_BATCH_LINK, index, fd);
	link = bw_link_at(fd);
	one->fd = fd;
	one->link = BPF_CORE_READ(link, id);
	one->program = BPF_CORE_READ(link, prog, aux, id);
	working->opened = index + 1;
	return 0;
}

static long bw_close_one(__u64 index, struct bw_working *working)
{
	struct bw_batch_link *one;
	struct bpf_link *link;

	if (index >= BW_BATCH_LINKS)
		return 1;
	one = &working->batch->link[index];
	link = bw_link_at(one->fd);
	/* Numbers are given again. */
	if (!link || BPF_CORE_READ(link, id) != one->link)
		return 0;
	bpf_sys_close(one->fd);
	return 0;
}

/* All or none. */
static __noinline void bw_hold(struct bw_working *working)
{
	struct bw_batch *batch = working->batch;
	union bpf_attr *attr = bw_no_attr(batch);
	__u32 maps;
	long btf;

	bpf_loop(batch->maps, bw_open_map, working, 0);
	maps = working->opened;
	if (!batch->error) {
		attr = bw_no_attr(batch);
		attr->btf = working->bytes + batch->btf;
		attr->btf_size = batch->btf_size;
		btf = bpf_sys_bpf(BPF_BTF_LOAD, attr, BW_ATTR_SIZE);
		if (btf < 0) {
			bw_stop(batch, BW_BATCH_LOAD_BTF, 0, btf);
		} else {
			working->btf = btf;
			working->opened = 0;
			bpf_loop(batch->links, bw_hold_one, working, 0);
			if (batch->error)
				bpf_loop(working->opened, bw_close_one, working, 0);
			bpf_sys_close(btf);
		}
	}
	bpf_loop(maps, bw_close_map, working, 0);
}

static int bw_work_off(void *map, int *key, void *value)
{
	struct bw_guard *state = bw_guard();
	struct bw_working working = {};
	__u32 zero = 0;

	working.batch = bpf_map_lookup_elem(&batches, &zero);
	working.bytes = (__u64)bpf_map_lookup_elem(&bytes, &zero);
	if (!state || !working.batch || !working.bytes)
		return 0;
	state->worker = bpf_get_current_task();
	if (working.batch->what == BW_BATCH_HOLD)
		bw_hold(&working);
	else if (working.batch->what == BW_BATCH_RELEASE)
		bpf_loop(working.batch->links, bw_close_one, &working, 0);
	state->worker = 0;
	__sync_fetch_and_add(&working.batch->done, 1);
	return 0;
}

SEC("syscall")
int have_it_done(void *context)
{
	struct bw_work *work;
	__u32 zero = 0;
	int error;

	if (!bw_may_change())
		return -EPERM;
	work = bpf_map_lookup_elem(&works, &zero);
	if (!work)
		return -EINVAL;
	error = bpf_wq_init(&work->queue, &works, 0);
	if (error)
		return error;
	if (bpf_ksym_exists(bpf_wq_set_callback))
		error = bpf_wq_set_callback(&work->queue, bw_work_off, 0);
	else
		error = bpf_wq_set_callback_impl(&work->queue, bw_work_off, 0, NULL);
	return error ? error : bpf_wq_start(&work->queue, 0);
}

char LICENSE[] SEC("license") = "GPL";
