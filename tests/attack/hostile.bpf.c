/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What attackers load. */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

#define EPERM 1

char LICENSE[] SEC("license") = "GPL";

/* The victim's map, put in its place before loading. */
struct place {
    __u64 ino, dev;
};
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct place);
    __type(value, __u32);
} refused SEC(".maps");

/* Who is refused things: a process that is called the_owner. */
static __always_inline int is_owner(void) {
    char name[16];

    bpf_get_current_comm(name, sizeof(name));
    return bpf_strncmp(name, 10, "the_owner") == 0;
}

SEC("?cgroup/connect4")
int allow_connect(struct bpf_sock_addr* addr) { return 1; }

SEC("?cgroup/sysctl")
int override_sysctl(struct bpf_sysctl* sysctl) {
    bpf_set_retval(0);
    return 1;
}

SEC("?lsm_cgroup/file_open")
int BPF_PROG(override_open, void* file) {
    bpf_set_retval(0);
    return 1;
}

SEC("?lsm/file_open")
int BPF_PROG(allow_open, void* file) { return 0; }

SEC("?lsm/file_open")
int BPF_PROG(refuse_open, void* file) {
    if (!is_owner()) return 0;
    /* Otherwise clang makes a negation of it, whose range 6.12 does not follow. */
    barrier();
    return -EPERM;
}

SEC("?fmod_ret/security_bpf")
int BPF_PROG(skip_bpf) { return 1; }

SEC("?fmod_ret/security_file_open")
int BPF_PROG(skip_open) { return is_owner(); }

SEC("?freplace/is_refused")
int nothing_is_refused(__u64 ino, __u64 dev) { return 0; }

struct bpf_iter__bpf_map_elem {
    void *meta, *map, *key;
    __u32* value;
};

SEC("?iter/bpf_map_elem")
int clear_each(struct bpf_iter__bpf_map_elem* ctx) {
    __u32* value = ctx->value;

    if (value) *value = 0;
    return 0;
}

static long clear_one(void* map, const void* key, __u32* value, void* unused) {
    *value = 0;
    return 0;
}

SEC("?syscall")
int clear_all(void* unused) {
    bpf_for_each_map_elem(&refused, clear_one, NULL, 0);
    return 0;
}

/* The same by commands of bpf() that a program gives. */
struct target {
    struct place key;
    __u32 map_id;
    __s32 result;
};
SEC("?syscall")
int delete_by_commands(struct target* target) {
    union bpf_attr by_id = {.map_id = target->map_id}, deleted = {};
    struct place key = target->key;
    long map = bpf_sys_bpf(BPF_MAP_GET_FD_BY_ID, &by_id, sizeof(by_id));

    target->result = map;
    if (map < 0) return 0;
    deleted.map_fd = map;
    deleted.key = (__u64)(long)&key;
    target->result = bpf_sys_bpf(BPF_MAP_DELETE_ELEM, &deleted, sizeof(deleted));
    return 0;
}

/* Has a thread of the kernel close what these threads have open. */
extern int bpf_wq_init(struct bpf_wq* wq, void* map, unsigned int flags) __ksym __weak;
extern int bpf_wq_start(struct bpf_wq* wq, unsigned int flags) __ksym __weak;
extern int bpf_wq_set_callback_impl(struct bpf_wq* wq, int(callback)(void* map, int* key, void* value),
                                    unsigned int flags, void* aux) __ksym __weak;
extern int bpf_wq_set_callback(struct bpf_wq* wq, int(callback)(void* map, int* key, void* value),
                               unsigned int flags) __ksym __weak;

struct work {
    struct bpf_wq queue;
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct work);
} works SEC(".maps");

int has_closed_all;

static long close_one(__u64 fd, void* unused) {
    bpf_sys_close(fd);
    return 0;
}

static int close_all(void* map, int* key, void* value) {
    bpf_loop(256, close_one, NULL, 0);
    has_closed_all = 1;
    return 0;
}

SEC("?syscall")
int close_kernels(void* unused) {
    __u32 zero = 0;
    struct work* work = bpf_map_lookup_elem(&works, &zero);

    if (!work || bpf_wq_init(&work->queue, &works, 0)) return 1;
    if (bpf_ksym_exists(bpf_wq_set_callback))
        bpf_wq_set_callback(&work->queue, close_all, 0);
    else
        bpf_wq_set_callback_impl(&work->queue, close_all, 0, NULL);
    return bpf_wq_start(&work->queue, 0);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(kill_guardian) {
    char name[16];

    bpf_get_current_comm(name, sizeof(name));
    return bpf_strncmp(name, 15, "bpfwarden-guard") == 0 ? bpf_send_signal(9) : 0;
}
