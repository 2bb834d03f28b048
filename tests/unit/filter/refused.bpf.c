// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs that must be refused, one a case. The line that the message has to name ends with the comment `here`.
#include <bpfwarden/seccomp_filter.h>

#define ALLOW SECCOMP_RET_ALLOW
typedef int decision(struct seccomp_data* ctx);

#if defined(CASE_function_pointer)
static __attribute__((noinline)) int one(struct seccomp_data* ctx) { return ctx->args[0] == 1 ? ALLOW : BPFW_ERRNO(1); }
static __attribute__((noinline)) int two(struct seccomp_data* ctx) { return ctx->args[0] == 2 ? ALLOW : BPFW_ERRNO(2); }
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    decision* chosen = ctx->nr == 1 ? one : two;  // here
    __asm__ volatile("" : "+r"(chosen));
    return chosen(ctx);
}
#elif defined(CASE_pointer_table)
static __attribute__((noinline)) int one(struct seccomp_data* ctx) { return ctx->args[0] == 1 ? ALLOW : BPFW_ERRNO(1); }
static __attribute__((noinline)) int two(struct seccomp_data* ctx) { return ctx->args[0] == 2 ? ALLOW : BPFW_ERRNO(2); }
static decision* const by_number[] = {one, two, one, one};
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return by_number[ctx->nr & 3](ctx);  // here
}
#elif defined(CASE_data_pointers)
static const __u32 one[] = {1, 2}, two[] = {3, 4};
static const __u32* const by_number[] = {one, two};
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return BPFW_ERRNO(by_number[ctx->nr & 1][ctx->args[0] & 1]);  // here
}
#elif defined(CASE_atomic)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    volatile __u64 count = ctx->nr;

    __sync_fetch_and_add(&count, 1);  // here
    return BPFW_ERRNO((__u32)count & 0xff);
}
#elif defined(CASE_symbolic_store)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    volatile __u8 seen[8] = {0};

    seen[ctx->args[0] & 7] = 1;  // here
    return seen[3] ? ALLOW : BPFW_ERRNO(1);
}
#elif defined(CASE_bpf_loop)
static long (*const loop)(__u32 count, void* callback, void* context, __u64 flags) = (void*)181;
static __attribute__((noinline)) int step(__u32 index, void* context) { return index == *(__u32*)context; }
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u32 most = ctx->args[0];

    return loop(8, step, &most, 0) > 4 ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_helper)
static __u64 (*const now)(void) = (void*)5;
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return now() & 1 ? ALLOW : BPFW_ERRNO(ctx->nr);  // here
}
#elif defined(CASE_kfunc)
extern int elsewhere(int number) __attribute__((section(".ksyms")));
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return elsewhere(ctx->nr) ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_extern)
extern int setting;
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return setting == ctx->nr ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_written_global)
static __u32 calls;
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    calls += ctx->nr;  // here
    return calls > 5 ? ALLOW : BPFW_ERRNO(1);
}
#elif defined(CASE_initialised_global)
__u32 setting = 7;
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return (__u32)ctx->nr == setting ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_wide_division)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return ctx->args[0] / ctx->args[1] == 3 ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_hash)
static const __u32 slots[256] = {[3] = 7, [9] = 12, [200] = 4};
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u32 key = ctx->args[0];

    return slots[key * 0x9e3779b1u >> 24] == key ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_unguarded_table)
static const __u16 errors[] = {1, 2, 3, 4, 5, 6, 7, 8};
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u32 kind = ctx->args[0];

    if (kind > 8) return ALLOW;
    return BPFW_ERRNO(errors[kind]);  // here
}
#elif defined(CASE_rest)
static const __u16 errors[16] = {1, 2, 3, 4, 5, 6, 7, 8};
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return BPFW_ERRNO(errors[ctx->nr]);  // here
}
#elif defined(CASE_null)
BPFW_MAP(errors, __u32, __u16, {2, 13}, {3, 38});
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    const __u16* error = bpfw_get(&errors, ctx->nr);

    return BPFW_ERRNO(*error);  // here
}
#elif defined(CASE_no_action)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return ctx->nr == 1 ? 0x12340000 : ALLOW;  // here
}
#elif defined(CASE_computed_action)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return ctx->args[0];  // here
}
#elif defined(CASE_pointer_result)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return (__u64)ctx & 1 ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_unset)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    volatile int errors[2];

    errors[0] = 5;
    return ctx->nr == 2 ? errors[1] : errors[0] == 5 ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_unbounded_loop)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u64 left = ctx->args[0], count = 0;

    while (left) {  // here
        left &= left - 1;
        count += left ^ ctx->args[1];
        __asm__ volatile("" : "+r"(left));
    }
    return BPFW_ERRNO(count & 0xfff);
}
#elif defined(CASE_endless)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u64 same = ctx->args[0];

    while (same == 4)  // here
        __asm__ volatile("" ::: "memory");
    return ALLOW;
}
#elif defined(CASE_context_write)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    ctx->nr = 5;  // here
    return ALLOW;
}
#elif defined(CASE_context_outside)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return *(volatile __u32*)((char*)ctx + 64) ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_context_index)
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    return ctx->args[ctx->args[0] & 3] ? ALLOW : BPFW_ERRNO(1);  // here
}
#elif defined(CASE_map_write)
BPFW_MAP(errors, __u32, __u16, {2, 13}, {3, 38});
BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u16* error = bpfw_get(&errors, ctx->nr);

    if (error) *error = 7;  // here
    return ALLOW;
}
#endif
