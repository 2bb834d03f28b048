// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Conditions on arguments: no memory that is written and run, no new namespaces, sockets of three families only,
// signals to oneself, a bounded buffer. On x86-64, i386 and AArch64.
#include <asm-generic/errno.h>
#include <bpfwarden/seccomp_filter.h>

struct numbers {
	int mmap, mprotect, clone, socket, personality, setsockopt;
};

static const struct numbers x86_64 = {9, 10, 56, 41, 135, 54};
static const struct numbers i386 = {192, 125, 120, 359, 136, 366};
static const struct numbers aarch64 = {222, 226, 220, 198, 92, 208};

/* Of CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
#define NEW_NAMESPACES 0x7e020000

static __attribute__((noinline)) int is_between(__u64 value, __u64 low, __u64 high)
{
	return value - low <= high - low;
}

static int check_socket(const struct seccomp_data *ctx)
{
	int family = (int)ctx->args[0], type = (int)ctx->args[1] & 0xf;

	if (family != 1 && family != 2 && family != 10)
		return BPFW_ERRNO(EAFNOSUPPORT);
	return type == 1 || type == 2 ? SECCOMP_RET_ALLOW : BPFW_ERRNO(ESOCKTNOSUPPORT);
}

static int decide(const struct seccomp_data *ctx, const struct numbers *number)
{
	if (ctx->nr == number->mmap || ctx->nr == number->mprotect)
		return (ctx->args[2] & 6) == 6 ? BPFW_ERRNO(EACCES) : SECCOMP_RET_ALLOW;
	if (ctx->nr == number->clone)
		return ctx->args[0] & NEW_NAMESPACES ? BPFW_ERRNO(EPERM) : SECCOMP_RET_ALLOW;
	if (ctx->nr == number->socket)
		return check_socket(ctx);
	if (ctx->nr == number->setsockopt)
		return is_between((__u32)ctx->args[4], 1, 4096) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(EINVAL);
	if (ctx->nr == number->personality) {
		__u32 persona = ctx->args[0];

		return persona == 0 || persona == 8 || persona == 0x20000 || persona == 0xffffffff ? SECCOMP_RET_ALLOW
												   : BPFW_ERRNO(EPERM);
	}
	return SECCOMP_RET_ALLOW;
}

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	switch (ctx->arch) {
	case AUDIT_ARCH_X86_64:
		return ctx->nr & BPFW_X32 ? BPFW_ERRNO(ENOSYS) : decide(ctx, &x86_64);
	case AUDIT_ARCH_I386:
		return decide(ctx, &i386);
	case AUDIT_ARCH_AARCH64:
		return decide(ctx, &aarch64);
	}
	return SECCOMP_RET_KILL_PROCESS;
}
