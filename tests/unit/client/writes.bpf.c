// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Remembers what it saw, so it is no function of its input alone: refused.
#include <bpfwarden/seccomp_filter.h>

static int seen;

BPFW_FILTER int filter(struct seccomp_data* ctx) {
    if (ctx->nr == 39 && seen++ > 3) return BPFW_ERRNO(1);
    return SECCOMP_RET_ALLOW;
}
