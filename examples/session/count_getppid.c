// SPDX-License-Identifier: Apache-2.0
// Counts how often getppid() is called while it calls it five times: a libbpf skeleton program like any other, which
// knows nothing of bpfwarden. Over a session, without privilege:
//
//   LD_PRELOAD=libbpfwarden-preload.so BPFWARDEN_GRANT=count-getppid count_getppid
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "count_getppid.skel.h"

// libbpf explains a failure in several lines; this program says it in one, so keep them for -v.
static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

int main(int argc, char **argv)
{
	struct count_getppid *skeleton;
	uint32_t key = 0;
	uint64_t count;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "-v") != 0)) {
		fprintf(stderr, "usage: count_getppid [-v]\n");
		return 2;
	}
	if (argc == 1)
		libbpf_set_print(quiet);
	skeleton = count_getppid__open_and_load();
	if (!skeleton) {
		fprintf(stderr, "count_getppid: cannot load: %s\n", strerror(errno));
		return 1;
	}
	if (count_getppid__attach(skeleton)) {
		fprintf(stderr, "count_getppid: cannot attach: %s\n", strerror(errno));
		count_getppid__destroy(skeleton);
		return 1;
	}
	for (int i = 0; i < 5; i++)
		syscall(SYS_getppid);
	if (bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.calls), &key, &count)) {
		fprintf(stderr, "count_getppid: cannot read the count: %s\n", strerror(errno));
		count_getppid__destroy(skeleton);
		return 1;
	}
	// Others call it too.
	printf("%llu calls of getppid()\n", (unsigned long long)count);
	count_getppid__destroy(skeleton);
	return count < 5;
}
