// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Lookups of 64-bit arguments in sets of narrower numbers. Line 21 loses something.
#ifdef LIBBPF_BEFORE
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#endif
#include <bpfwarden/seccomp_filter.h>
#ifdef LIBBPF_AFTER
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#endif

BPFW_SET(requests, __u32, 1, 2, 3);
BPFW_SET(whole, __u64, 1, 2, 3);

BPFW_FILTER int filter(struct seccomp_data* ctx) {
    switch (ctx->nr) {
        case 1:
            return bpfw_has(&requests, ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(1);
        case 2:
            return bpfw_has(&requests, (__u32)ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(1);
        case 3:
            if (ctx->args[1] >> 32) return BPFW_ERRNO(2);
            return bpfw_has(&requests, ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(1);
        case 4:
            return bpfw_has(&whole, ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(1);
        case 5:
            return bpfw_has(&requests, ctx->args[1] >> 32) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(1);
    }
    return bpfw_has(&requests, ctx->nr) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(1);
}
