// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Terminals may be asked about and resized, and no input may be put into them (TIOCSTI, TIOCLINUX). The kernel looks at
// the lower 32 bits of a request, so the filter does.
#include <asm-generic/errno.h>
#include <asm/unistd.h>
#include <bpfwarden/seccomp_filter.h>

BPFW_SET(terminal, __u32, 0x5401 /* TCGETS */, 0x5402, 0x5403, 0x5404, 0x540f /* TIOCGPGRP */, 0x5410,
	 0x5413 /* TIOCGWINSZ */, 0x5414, 0x541b /* FIONREAD */, 0x5421 /* FIONBIO */, 0x5450, 0x5451 /* FIOCLEX */);
BPFW_SET(file_control, __u32, 0, 1, 2, 3, 4, 1030 /* F_DUPFD_CLOEXEC */);

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	if (ctx->arch != AUDIT_ARCH_X86_64 || (ctx->nr & BPFW_X32))
		return SECCOMP_RET_KILL_PROCESS;
	switch (ctx->nr) {
	case __NR_ioctl:
		return bpfw_has(&terminal, (__u32)ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(ENOTTY);
	case __NR_fcntl:
		return bpfw_has(&file_control, (__u32)ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(EINVAL);
	}
	return SECCOMP_RET_ALLOW;
}
