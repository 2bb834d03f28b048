// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a program needs that reads and writes files it was given, and nothing else. The calls it may have besides come
// from a file: --map extra=FILE.
#include <asm-generic/errno.h>
#include <asm/unistd.h>
#include <bpfwarden/seccomp_filter.h>

BPFW_SET(allowed, __u32, __NR_read, __NR_write, __NR_close, __NR_fstat, __NR_lseek, __NR_mmap, __NR_munmap, __NR_brk,
	 __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_pread64, __NR_pwrite64, __NR_readv,
	 __NR_writev, __NR_madvise, __NR_getpid, __NR_exit, __NR_exit_group, __NR_futex, __NR_clock_gettime,
	 __NR_getrandom);
BPFW_SET(quietly, __u32, __NR_ioctl, __NR_prctl, __NR_arch_prctl, __NR_set_robust_list, __NR_rseq);
BPFW_SET_FILE(extra, __u32, 512);

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	if (ctx->arch != AUDIT_ARCH_X86_64)
		return SECCOMP_RET_KILL_PROCESS;
	if (bpfw_has(&allowed, ctx->nr) || bpfw_has(&extra, ctx->nr))
		return SECCOMP_RET_ALLOW;
	return bpfw_has(&quietly, ctx->nr) ? BPFW_ERRNO(ENOSYS) : SECCOMP_RET_KILL_PROCESS;
}
