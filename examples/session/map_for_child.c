// SPDX-License-Identifier: Apache-2.0
// Opens a session, gives a child process a smaller one, and lets both make a map. The child is told by its session what
// it may not do, and why. A grant for it is count-getppid.toml.
//
//   map_for_child GRANT
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <bpfwarden/bpfwarden.h>

// All that the child shall do: a part of what the grant allows.
static const char smaller[] = "format = 1\n"
			      "[allow]\n"
			      "map_types = [\"array\"]\n"
			      "capabilities = [\"bpf\"]\n"
			      "commands = [\"map_create\"]\n";

static int fail(const char *who)
{
	fprintf(stderr, "map_for_child: %s: %s\n", who, bpfw_error());
	return 1;
}

static int make_map(enum bpf_map_type type)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = 4;
	attr.value_size = 8;
	attr.max_entries = 1;
	return bpfw_sys_bpf(BPF_MAP_CREATE, &attr, sizeof(attr));
}

static int add_one(int map)
{
	uint32_t key = 0;
	uint64_t value = 0;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uint64_t)(uintptr_t)&key;
	attr.value = (uint64_t)(uintptr_t)&value;
	// Goes to the kernel: with the map's fd in hand it needs nobody's permission.
	if (bpfw_sys_bpf(BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)))
		return -1;
	value++;
	return bpfw_sys_bpf(BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr));
}

static int child(int socket)
{
	bpfw_session *session = bpfw_receive(socket);
	int map;

	if (!session)
		return fail("child");
	bpfw_use(session);
	map = make_map(BPF_MAP_TYPE_ARRAY);
	if (map < 0 || add_one(map))
		return fail("child");
	printf("child: made an array\n");
	// What it was not given.
	if (make_map(BPF_MAP_TYPE_HASH) >= 0) {
		fprintf(stderr, "map_for_child: child: made a hash as well, which it was not to\n");
		return 1;
	}
	printf("child: no hash, errno %s: %s\n", strerror(errno), bpfw_error());
	bpfw_close(session);
	return 0;
}

int main(int argc, char **argv)
{
	bpfw_session *session, *part;
	int sockets[2], status;
	pid_t pid;

	if (argc != 2) {
		fprintf(stderr, "usage: map_for_child GRANT\n");
		return 2;
	}
	session = bpfw_open(argv[1]);
	if (!session)
		return fail("open");
	bpfw_use(session);
	if (make_map(BPF_MAP_TYPE_ARRAY) < 0)
		return fail("parent");
	printf("parent: made an array\n");

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)) {
		perror("map_for_child: socketpair");
		return 1;
	}
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("map_for_child: fork");
		return 1;
	}
	if (pid == 0) {
		// It has its parent's memory, and so its session: a program that wants less lets go of it.
		bpfw_close(session);
		close(sockets[0]);
		return child(sockets[1]);
	}
	close(sockets[1]);
	part = bpfw_derive(session, smaller);
	if (!part || bpfw_pass(part, sockets[0])) {
		status = fail("derive");
		close(sockets[0]);
		waitpid(pid, NULL, 0);
		return status;
	}
	bpfw_close(part);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return 1;
	bpfw_close(session);
	return 0;
}
