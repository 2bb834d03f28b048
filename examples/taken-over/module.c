// SPDX-License-Identifier: Apache-2.0
// What somebody makes nginx load with `load_module`: no module of nginx, but its code runs as soon as it is in memory.
#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void)
{
	fprintf(stderr, "the attacker's code runs in process %d\n", getpid());
}
