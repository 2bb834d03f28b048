// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A filter whose size is up to the numbers that it is given, and with PRODUCT one that no comparison of bits decides.
#include <bpfwarden/seccomp_filter.h>

BPFW_SET_FILE(values, __u64, 8192);

BPFW_FILTER int filter(struct seccomp_data* ctx) {
    if (ctx->arch != AUDIT_ARCH_X86_64 || ctx->nr != 16) return SECCOMP_RET_ALLOW;
#ifdef PRODUCT
    if ((__u32)ctx->args[2] * (__u32)ctx->args[3] == 12345) return BPFW_ERRNO(2);
#endif
    return bpfw_has(&values, ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(25);
}
