// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Errors by system call from a map, and by an argument from a table: what a test does that plays a machine out of
// order.
#include <asm-generic/errno.h>
#include <asm/unistd.h>
#include <bpfwarden/seccomp_filter.h>

BPFW_MAP(errors, __u32, __u16, {__NR_mkdir, ENOSPC}, {__NR_rmdir, EROFS}, {__NR_unlink, EROFS},
	 {__NR_connect, ENETUNREACH}, {__NR_fork, EAGAIN}, {__NR_vfork, EAGAIN}, {__NR_fsync, EIO});

/* What kill() fails with, by signal. */
static const __u16 by_signal[32] = {[1] = EPERM, [2] = EPERM, [9] = ESRCH, [15] = ESRCH, [17] = EINVAL, [31] = ENOSYS};

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	const __u16 *error;

	if (ctx->arch != AUDIT_ARCH_X86_64)
		return SECCOMP_RET_KILL_PROCESS;
	if (ctx->nr == __NR_kill) {
		__u32 signal = ctx->args[1];

		if (signal >= 32)
			return BPFW_ERRNO(EINVAL);
		return by_signal[signal] ? BPFW_ERRNO(by_signal[signal]) : SECCOMP_RET_ALLOW;
	}
	error = bpfw_get(&errors, ctx->nr);
	return error ? BPFW_ERRNO(*error) : SECCOMP_RET_ALLOW;
}
