// SPDX-License-Identifier: Apache-2.0
// Sends N UDP packets out of an interface, to all nodes on its link (ff02::1): they arrive at the other end of a veth
// pair.
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	int count, s;

	if (argc != 3 || (count = atoi(argv[2])) <= 0) {
		fprintf(stderr, "usage: send_packets INTERFACE N\n");
		return 2;
	}
	inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
	to.sin6_scope_id = if_nametoindex(argv[1]);
	s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < count; i++)
		if (sendto(s, "packet", 6, 0, (struct sockaddr *)&to, sizeof(to)) != 6) {
			fprintf(stderr, "send_packets: %s: %s\n", argv[1], strerror(errno));
			return 1;
		}
	printf("sent %d packets out of %s\n", count, argv[1]);
	close(s);
	return 0;
}
