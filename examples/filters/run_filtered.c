// SPDX-License-Identifier: Apache-2.0
// Runs a command under a filter that is built here and now, for this machine: from an eBPF object (clang -target bpf),
// a container's profile, or classic BPF. What is not proven to be the source's function is not installed.
//
//   run_filtered FILTER COMMAND [ARGUMENT…]
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpfwarden/filter.h>

static int fail(const char *what)
{
	fprintf(stderr, "run_filtered: %s: %s\n", what, bpfw_error());
	return 1;
}

int main(int argc, char **argv)
{
	struct bpfw_filter_options options = {.size = sizeof(options), .require_proof = 1};
	bpfw_filter *filter;
	size_t count;

	if (argc < 3) {
		fprintf(stderr, "usage: run_filtered FILTER COMMAND [ARGUMENT...]\n");
		return 2;
	}
	filter = bpfw_filter_build_file(argv[1], &options);
	if (!filter)
		return fail("cannot build the filter");
	fputs(bpfw_filter_warnings(filter), stderr);
	bpfw_filter_program(filter, &count);
	fprintf(stderr, "run_filtered: %zu instructions\n", count);
	// From here on the filter decides about this program too.
	if (bpfw_filter_install(filter, bpfw_filter_flags(filter)) < 0)
		return fail("cannot install it");
	execvp(argv[2], argv + 2);
	fprintf(stderr, "run_filtered: %s: %s\n", argv[2], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
