// SPDX-License-Identifier: Apache-2.0
// Prints what packet_counter.bpf.c counted, from its pinned map: a libbpf program like any other.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

int main(int argc, char **argv)
{
	struct {
		uint64_t packets, bytes;
	} counts;
	uint32_t key = 0;
	int map;

	if (argc != 2) {
		fprintf(stderr, "usage: read_counter PINNED-MAP\n");
		return 2;
	}
	map = bpf_obj_get(argv[1]);
	if (map < 0 || bpf_map_lookup_elem(map, &key, &counts)) {
		fprintf(stderr, "read_counter: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	printf("%llu packets, %llu bytes\n", (unsigned long long)counts.packets, (unsigned long long)counts.bytes);
	close(map);
	return 0;
}
