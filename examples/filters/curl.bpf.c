// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A client of the network, as curl and wget are: files, threads, sockets of the internet and of this machine. It may
// not look into other processes, change its personality, make namespaces, or open netlink, packet or any other sockets.
#include <asm-generic/errno.h>
#include <asm/unistd.h>
#include <bpfwarden/seccomp_filter.h>

BPFW_SET(files, __u32, __NR_read, __NR_write, __NR_close, __NR_open, __NR_openat, __NR_lseek, __NR_pread64,
	 __NR_pwrite64, __NR_readv, __NR_writev, __NR_stat, __NR_fstat, __NR_lstat, __NR_newfstatat, __NR_statx,
	 __NR_statfs, __NR_fstatfs, __NR_access, __NR_faccessat, __NR_faccessat2, __NR_readlink, __NR_readlinkat,
	 __NR_getdents64, __NR_getcwd, __NR_chdir, __NR_ftruncate, __NR_fsync, __NR_rename, __NR_unlink, __NR_mkdir,
	 __NR_utimensat, __NR_umask, __NR_fcntl, __NR_dup, __NR_dup2, __NR_dup3, __NR_pipe, __NR_pipe2, __NR_ioctl);
BPFW_SET(memory, __u32, __NR_mmap, __NR_mprotect, __NR_munmap, __NR_mremap, __NR_madvise, __NR_brk);
BPFW_SET(process, __u32, __NR_execve, __NR_exit, __NR_exit_group, __NR_arch_prctl, __NR_prctl, __NR_prlimit64,
	 __NR_getrlimit, __NR_set_tid_address, __NR_set_robust_list, __NR_rseq, __NR_futex, __NR_wait4,
	 __NR_sched_yield, __NR_sched_getaffinity, __NR_getpid, __NR_gettid, __NR_getppid, __NR_getuid, __NR_geteuid,
	 __NR_getgid, __NR_getegid, __NR_capget, __NR_capset, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn,
	 __NR_sigaltstack, __NR_uname, __NR_sysinfo, __NR_getrandom, __NR_clock_gettime, __NR_clock_nanosleep,
	 __NR_nanosleep, __NR_gettimeofday, __NR_time);
BPFW_SET(network, __u32, __NR_connect, __NR_bind, __NR_getsockname, __NR_getpeername, __NR_getsockopt, __NR_setsockopt,
	 __NR_sendto, __NR_recvfrom, __NR_sendmsg, __NR_recvmsg, __NR_sendmmsg, __NR_shutdown, __NR_poll, __NR_ppoll,
	 __NR_select, __NR_pselect6, __NR_epoll_create1, __NR_epoll_ctl, __NR_epoll_wait, __NR_eventfd2);
BPFW_SET(families, __u32, 1 /* AF_UNIX */, 2 /* AF_INET */, 10 /* AF_INET6 */);

/* Of CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
#define NEW_NAMESPACES 0x7e020000

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	if (ctx->arch != AUDIT_ARCH_X86_64)
		return SECCOMP_RET_KILL_PROCESS;
	switch (ctx->nr) {
	case __NR_socket:
	case __NR_socketpair:
		/* The kernel takes an int: what is above does not count for it, nor here. */
		return bpfw_has(&families, (__u32)ctx->args[0]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(EAFNOSUPPORT);
	case __NR_clone:
		return ctx->args[0] & NEW_NAMESPACES ? BPFW_ERRNO(EPERM) : SECCOMP_RET_ALLOW;
	case __NR_clone3:
		/* Its flags are in memory, which no filter sees: glibc then takes clone(). */
		return BPFW_ERRNO(ENOSYS);
	}
	if (bpfw_has(&files, ctx->nr) || bpfw_has(&memory, ctx->nr) || bpfw_has(&process, ctx->nr) ||
	    bpfw_has(&network, ctx->nr))
		return SECCOMP_RET_ALLOW;
	return BPFW_ERRNO(EPERM);
}
