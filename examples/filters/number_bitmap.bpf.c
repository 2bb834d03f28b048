// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A bit for each system call, as an array of constants: for lists that another program writes.
#include <asm-generic/errno.h>
#include <bpfwarden/seccomp_filter.h>

static const __u32 allowed[] = {
	0xfffff3fb, 0x9fdfdfff, 0x7ffffefd, 0x00ff7fff, 0xc000ffff, 0x3f0b0003, 0x00000000, 0xfffc0c80,
	0x7ffff3e7, 0xfb5f33c9, 0x00008003, 0x00000000, 0x00000000, 0xf7ff0000, 0x00000007,
};

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	__u32 number = ctx->nr;

	if (ctx->arch != AUDIT_ARCH_X86_64)
		return SECCOMP_RET_KILL_PROCESS;
	if (number >= 32 * sizeof(allowed) / sizeof(allowed[0]))
		return BPFW_ERRNO(ENOSYS);
	return allowed[number / 32] >> (number % 32) & 1 ? SECCOMP_RET_ALLOW : BPFW_ERRNO(EPERM);
}
