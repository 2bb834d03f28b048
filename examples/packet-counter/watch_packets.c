// SPDX-License-Identifier: Apache-2.0
// Attaches the packet counter to an interface through its skeleton and prints the count after each line of input.
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "packet_counter.skel.h"

int main(int argc, char **argv)
{
	struct packet_counter *skeleton;
	struct {
		__u64 packets, bytes;
	} counts;
	__u32 key = 0;
	int c;

	if (argc != 2) {
		fprintf(stderr, "usage: watch_packets INTERFACE\n");
		return 2;
	}
	skeleton = packet_counter__open_and_load();
	if (!skeleton) {
		fprintf(stderr, "watch_packets: loading: %s\n", strerror(errno));
		return 1;
	}
	skeleton->links.count_packets =
		bpf_program__attach_xdp(skeleton->progs.count_packets, (int)if_nametoindex(argv[1]));
	if (!skeleton->links.count_packets) {
		fprintf(stderr, "watch_packets: attaching to %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	printf("attached to %s\n", argv[1]);
	fflush(stdout);
	while ((c = getchar()) != EOF) {
		if (c != '\n')
			continue;
		if (bpf_map__lookup_elem(skeleton->maps.packet_counts, &key, sizeof(key), &counts, sizeof(counts), 0))
			return 1;
		printf("%llu packets\n", (unsigned long long)counts.packets);
		fflush(stdout);
	}
	packet_counter__destroy(skeleton);
	return 0;
}
