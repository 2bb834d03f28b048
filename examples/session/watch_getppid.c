// SPDX-License-Identifier: Apache-2.0
// count_getppid, running on: a libbpf skeleton program that knows nothing of bpfwarden. Says how many calls were
// counted, until none are although it makes some and still holds everything: map, program and link.
//
//   watch_getppid [SECONDS]
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "count_getppid.skel.h"

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

int main(int argc, char **argv)
{
	const int seconds = argc > 1 ? atoi(argv[1]) : 30;
	struct count_getppid *skeleton;
	uint64_t count, before = 0;
	uint32_t key = 0;

	libbpf_set_print(quiet);
	setvbuf(stdout, NULL, _IOLBF, 0);
	skeleton = count_getppid__open_and_load();
	if (!skeleton || count_getppid__attach(skeleton)) {
		fprintf(stderr, "watch_getppid: cannot load and attach: %s\n", strerror(errno));
		return 1;
	}
	printf("watch_getppid: uid %d, loaded and attached\n", (int)getuid());
	for (int turn = 0; turn < seconds * 5; turn++) {
		for (int i = 0; i < 10; i++)
			syscall(SYS_getppid);
		if (bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.calls), &key, &count)) {
			fprintf(stderr, "watch_getppid: cannot read the count: %s\n", strerror(errno));
			return 1;
		}
		if (turn > 0 && count == before) {
			printf("watch_getppid: stopped at %llu: 10 more calls, and none was counted\n",
			       (unsigned long long)count);
			return 0;
		}
		if (turn == 0)
			printf("watch_getppid: counting\n");
		before = count;
		usleep(200000);
	}
	printf("watch_getppid: still counting, at %llu\n", (unsigned long long)before);
	return 3;
}
