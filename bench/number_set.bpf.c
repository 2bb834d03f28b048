// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a profile with one list of allowed calls says.
#include <asm-generic/errno.h>
#include <bpfwarden/seccomp_filter.h>

BPFW_SET_FILE(allowed, __u32, 512);

BPFW_FILTER int filter(struct seccomp_data* ctx) {
    if (ctx->arch != AUDIT_ARCH_X86_64) return SECCOMP_RET_KILL_PROCESS;
    /* x32 is another architecture; -1 is what a tracer writes to have a call skipped. */
    if ((__u32)ctx->nr >= BPFW_X32 && ctx->nr != -1) return SECCOMP_RET_KILL_PROCESS;
    return bpfw_has(&allowed, ctx->nr) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(EPERM);
}
