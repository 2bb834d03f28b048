/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp filters in C. One function decides about every system call of a process; `bpfwarden filter build` proves that
 * it is pure and makes classic BPF of it, which any kernel takes.
 *
 *	#include <bpfwarden/seccomp_filter.h>
 *
 *	BPFW_SET(requests, __u32, 0x5401, 0x5413);
 *
 *	BPFW_FILTER int filter(struct seccomp_data *ctx)
 *	{
 *		if (ctx->arch != AUDIT_ARCH_X86_64)
 *			return SECCOMP_RET_KILL_PROCESS;
 *		if (ctx->nr == 16)
 *			return bpfw_has(&requests, (__u32)ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(25);
 *		return SECCOMP_RET_ALLOW;
 *	}
 *
 * It may read the argument, local variables, constant data and the maps declared below, call functions of its own and
 * loop with a bound. Compile with: clang -target bpf -mcpu=v4 -O2 -g -fno-jump-tables (v1 to v3 do as well, but know no
 * signed division).
 *
 * It needs no other header, and goes with <linux/seccomp.h>, <linux/audit.h>, vmlinux.h and libbpf's
 *<bpf/bpf_helpers.h>, whichever comes first.
 */
#ifndef BPFWARDEN_SECCOMP_FILTER_H
#define BPFWARDEN_SECCOMP_FILTER_H

/* <asm/types.h> is where the compiler does not look for the target bpf, unless it is told to. */
#if !defined(__VMLINUX_H__)
#if __has_include(<asm/types.h>) && __has_include(<linux/seccomp.h>)
#include <linux/seccomp.h>
#include <linux/types.h>
#elif !defined(_LINUX_SECCOMP_H) && !defined(_UAPI_LINUX_SECCOMP_H)
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
struct seccomp_data {
    int nr;
    __u32 arch;
    __u64 instruction_pointer;
    __u64 args[6];
};
#endif
#endif

/* What a filter returns: an action in the upper half, data in the lower. */
#ifndef SECCOMP_RET_ALLOW
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#define SECCOMP_RET_KILL_THREAD 0x00000000U
#define SECCOMP_RET_KILL SECCOMP_RET_KILL_THREAD
#define SECCOMP_RET_TRAP 0x00030000U
#define SECCOMP_RET_ERRNO 0x00050000U
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#define SECCOMP_RET_TRACE 0x7ff00000U
#define SECCOMP_RET_LOG 0x7ffc0000U
#define SECCOMP_RET_ALLOW 0x7fff0000U
#define SECCOMP_RET_DATA 0x0000ffffU
#endif
#define BPFW_ERRNO(number) (SECCOMP_RET_ERRNO | ((number) & SECCOMP_RET_DATA))
#define BPFW_TRACE(number) (SECCOMP_RET_TRACE | ((number) & SECCOMP_RET_DATA))

/* The values of `arch`. The number of an x32 call has bit 30 set, and the arch of x86-64. */
#ifndef AUDIT_ARCH_X86_64
#define AUDIT_ARCH_X86_64 0xc000003eU
#endif
#ifndef AUDIT_ARCH_I386
#define AUDIT_ARCH_I386 0x40000003U
#endif
#ifndef AUDIT_ARCH_AARCH64
#define AUDIT_ARCH_AARCH64 0xc00000b7U
#endif
#define BPFW_X32 0x40000000U

/* Before the function that decides. */
#define BPFW_FILTER __attribute__((section("seccomp"), used))

#define BPFW_IN_(name) __attribute__((section(name), used))
#define BPFW_COUNT_(T, ...) (sizeof((T[]){__VA_ARGS__}) / sizeof(T))
#define BPFW_MAP_(name, kind, flags, entries, K, V)             \
    struct {                                                    \
        int (*type)[kind];                                      \
        int (*max_entries)[entries];                            \
        int (*map_flags)[(1 << 7 /* RDONLY_PROG */) | (flags)]; \
        K* key;                                                 \
        V* value;                                               \
    } name BPFW_IN_(".maps")

/* A set of numbers: BPFW_SET(domains, __u32, AF_UNIX, AF_INET); */
#define BPFW_SET(name, T, ...)                                              \
    BPFW_MAP_(name, 1 /* HASH */, 0, BPFW_COUNT_(T, __VA_ARGS__), T, __u8); \
    static const T name##__keys[] BPFW_IN_(".bpfw.keys") = {__VA_ARGS__}

/* The same with numbers from a file, given when it is built (--map NAME=FILE); at most `most` of them. */
#define BPFW_SET_FILE(name, T, most)                 \
    BPFW_MAP_(name, 1 /* HASH */, 0, most, T, __u8); \
    static const char name##__file BPFW_IN_(".bpfw.file") = 0

/* From keys to values: BPFW_MAP(errors, __u32, __u16, {2, 13}, {257, 38}); */
#define BPFW_MAP(name, K, V, ...)                                                          \
    struct name##_entry {                                                                  \
        K key;                                                                             \
        V value;                                                                           \
    };                                                                                     \
    BPFW_MAP_(name, 1 /* HASH */, 0, BPFW_COUNT_(struct name##_entry, __VA_ARGS__), K, V); \
    static const struct name##_entry name##__init[] BPFW_IN_(".bpfw.init") = {__VA_ARGS__}

/* IPv4 networks: BPFW_LPM4(nets, {8, {10}}, {16, {192, 168}}); */
#define BPFW_LPM4(name, ...)                                                                                \
    struct name##_prefix {                                                                                  \
        __u32 length;                                                                                       \
        __u8 address[4];                                                                                    \
    };                                                                                                      \
    BPFW_MAP_(name, 11 /* LPM_TRIE */, 1 /* NO_PREALLOC */, BPFW_COUNT_(struct name##_prefix, __VA_ARGS__), \
              struct name##_prefix, __u8);                                                                  \
    static const struct name##_prefix name##__keys[] BPFW_IN_(".bpfw.keys") = {__VA_ARGS__}

/*
 * Is the number in the set? A number that is wider than the set's type is cut to it, and the build warns where that
 * loses something: write (__u32)ctx->args[1] where the rest is to be ignored, as the kernel does for an int.
 */
#define bpfw_has(set, number) (bpfw_find_(set, number) != (void*)0)
/* A pointer to the value of a key, null if there is none. */
#define bpfw_get(map, number) ((__typeof__((map)->value))bpfw_find_(map, number))
/* Is the address, a number as in 0x7f000001 for 127.0.0.1, in one of the networks? */
#define bpfw_has4(nets, number)                                                                          \
    __extension__({                                                                                      \
        const __u32 bpfw_address_ = (number);                                                            \
        __typeof__(*(nets)->key) bpfw_key_ = {32,                                                        \
                                              {(__u8)(bpfw_address_ >> 24), (__u8)(bpfw_address_ >> 16), \
                                               (__u8)(bpfw_address_ >> 8), (__u8)bpfw_address_}};        \
        bpfw_lookup_((nets), &bpfw_key_, 0, 0) != (void*)0;                                              \
    })

/* bpf_map_lookup_elem(), which ignores the last two: they tell the build of a number that is cut. */
static void* (*const bpfw_lookup_)(const void* map, const void* key, __u64 whole, __u64 wider)
    __attribute__((unused)) = (void* (*)(const void*, const void*, __u64, __u64))1;
#define BPFW_WIDER_KEY_ 0x62706677
#define bpfw_find_(map, number)                                                                           \
    __extension__({                                                                                       \
        __auto_type bpfw_whole_ = (number);                                                               \
        __typeof__(*(map)->key) bpfw_key_ = (__typeof__(*(map)->key))bpfw_whole_;                         \
        bpfw_lookup_((map), &bpfw_key_, sizeof(bpfw_whole_) > sizeof(bpfw_key_) ? (__u64)bpfw_whole_ : 0, \
                     sizeof(bpfw_whole_) > sizeof(bpfw_key_) ? BPFW_WIDER_KEY_ : 0);                      \
    })

#endif
