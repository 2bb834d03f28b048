// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What clang makes of C in many shapes: every system call number is another function to evaluate.
#include <bpfwarden/seccomp_filter.h>

#define ALLOW SECCOMP_RET_ALLOW

BPFW_SET(odd, __u32, 1, 3, 5, 7, 9, 0x80000001);
BPFW_SET(wide, __u64, 1, 0x100000000, 0xffffffffffffffff, 0x5401);
BPFW_SET(narrow, __u8, 1, 2, 200);
BPFW_MAP(pairs, __u16, __u64, {1, 10}, {2, 20}, {300, 0x100000001}, {65535, 3});
BPFW_LPM4(nets, {8, {10}}, {16, {10, 1}}, {0, {0}}, {31, {192, 168, 0, 2}});
BPFW_LPM4(some, {9, {10, 128}}, {32, {127, 0, 0, 1}});

static const __u8 rank[8] = {3, 1, 4, 1, 5, 9, 2, 6};
static const struct rule {
    __u32 argument;
    __u64 mask, value;
} rules[] = {{0, 7, 3}, {1, ~0ULL, 1}, {5, 0xff00000000, 0x100000000}, {2, 0, 0}};
static const __u32 wanted[16] = {1, 7, 3, 9, 22, 4, 5, 81, 2, 44, 6, 73, 12, 90, 31, 5};
static const __u32 sorted[12] = {2, 3, 5, 7, 11, 13, 17, 19, 0x5401, 0x5413, 0x80000000, 0xfffffff0};

static __attribute__((noinline)) int in_range(__u64 value, __u64 low, __u64 high) { return value - low <= high - low; }
static __attribute__((noinline)) __u32 sum(const __u32* numbers, __u32 count) {
    __u32 result = 0;

    for (__u32 i = 0; i < count && i < 4; i++) result += numbers[i];
    return result;
}
static __attribute__((noinline)) void swap(__u64* one, __u64* other) {
    __u64 kept = *one;

    *one = *other;
    *other = kept;
}

BPFW_FILTER int filter(struct seccomp_data* ctx) {
    __u64 a = ctx->args[0], b = ctx->args[1];

    if (ctx->arch != AUDIT_ARCH_X86_64)
        return ctx->arch == AUDIT_ARCH_I386 && ctx->nr >= 0 ? BPFW_ERRNO(38) : SECCOMP_RET_KILL_PROCESS;
    switch (ctx->nr) {
        case 0:
            return bpfw_has(&odd, (__u32)a) || bpfw_has(&wide, b) ? ALLOW : BPFW_ERRNO(1);
        case 1:
            return bpfw_has(&narrow, (__u8)(a >> 40)) ? ALLOW : BPFW_ERRNO(1);
        case 2: {
            __u64* value = bpfw_get(&pairs, (__u16)a);

            return !value ? BPFW_ERRNO(2) : *value > b ? ALLOW : BPFW_ERRNO(*value);
        }
        case 3:
            return bpfw_has4(&nets, a) && !bpfw_has4(&some, a) ? ALLOW : BPFW_ERRNO(3);
        case 4:
            return rank[a & 7] > 3 ? ALLOW : BPFW_ERRNO(rank[b & 7]);
        case 5:
        case 6:
        case 7:
        case 8: {
            const struct rule* rule = &rules[ctx->nr - 5];

            return (ctx->args[rule->argument] & rule->mask) == rule->value ? ALLOW : BPFW_ERRNO(5);
        }
        case 9: {
            __u32 mask = 0;

            for (__u32 i = 0; i < 16; i++)
                if (((__u32)(ctx->args[i % 6] >> (i / 2)) & 0x7f) == wanted[i]) mask |= 1u << i;
            return mask == 0x5a5a ? ALLOW : BPFW_ERRNO(9);
        }
        case 10: {
            __u32 low = 0, high = 12, key = (__u32)a;

            for (__u32 i = 0; i < 5 && low < high; i++) {
                __u32 middle = (low + high) / 2;

                if (middle >= 12) break;
                if (sorted[middle] == key) return ALLOW;
                if (sorted[middle] < key)
                    low = middle + 1;
                else
                    high = middle;
            }
            return BPFW_ERRNO(10);
        }
        case 11:
            return (__s64)a < (__s64)b ? ALLOW : (__s32)a < -5 ? BPFW_ERRNO(11) : SECCOMP_RET_LOG;
        case 12:
            return in_range(a, 3, 40) || in_range(b, 1ULL << 40, 1ULL << 41) ? ALLOW : BPFW_ERRNO(12);
        case 13: {
            __u32 numbers[4] = {(__u32)a, (__u32)b, 3, (__u32)(a >> 32)};

            return sum(numbers, 4) < 1000 ? ALLOW : BPFW_ERRNO(13);
        }
        case 14:
            swap(&a, &b);
            return a > 5 && b < 100 ? ALLOW : BPFW_ERRNO(14);
        case 15:
            return a % 97 == 5 || (__u32)b / 7 == 3 ? ALLOW : BPFW_ERRNO(15);
        case 16:
            return (__u32)a / ((__u32)b | 1) == 2 ? ALLOW : BPFW_ERRNO(16);
        case 17:
            return __builtin_bswap32((__u32)a) == 0x01020304 || __builtin_bswap64(b) >> 56 == 9 ? ALLOW
                                                                                                : BPFW_ERRNO(17);
        case 18:
            return __builtin_popcountll(a & 0xffff) == 3 ? ALLOW : BPFW_ERRNO(18);
        case 19:
            return BPFW_ERRNO((a & 0xff) + (b & 3));
        case 20:
            return BPFW_TRACE((__u16)a);
        case 21: {
            int error = 0;

            if (a & 1)
                error = 1;
            else if (b & 2)
                error = (int)(b & 0xf0);
            return error ? BPFW_ERRNO(error) : ALLOW;
        }
        case 22:
            return 0x80000000u >> (a & 31) & 0x10203040 ? ALLOW : BPFW_ERRNO(22);
        case 23:
            return 1ULL << (b & 63) & 0x8000000100000010 ? ALLOW : BPFW_ERRNO(23);
    }
    return ctx->nr < 0 ? BPFW_ERRNO(99) : BPFW_ERRNO(38);
}
