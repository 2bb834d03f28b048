// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An interface of one's own, where an IPv4 address is an argument: system call 1000 (of a gVisor-like sandbox, say)
// takes it in its second. The address of a connect() is in memory, which no filter sees.
#include <asm-generic/errno.h>
#include <bpfwarden/seccomp_filter.h>

BPFW_LPM4(private_networks, {8, {10}}, {12, {172, 16}}, {16, {192, 168}}, {32, {127, 0, 0, 1}});
BPFW_LPM4(forbidden, {24, {10, 1, 2}}, {32, {192, 168, 0, 1}});

BPFW_FILTER int filter(struct seccomp_data *ctx)
{
	if (ctx->nr != 1000)
		return SECCOMP_RET_ALLOW;
	if (bpfw_has4(&forbidden, ctx->args[1]))
		return SECCOMP_RET_KILL_PROCESS;
	return bpfw_has4(&private_networks, ctx->args[1]) ? SECCOMP_RET_ALLOW : BPFW_ERRNO(ENETUNREACH);
}
