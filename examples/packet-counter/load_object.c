// SPDX-License-Identifier: Apache-2.0
// Loads a BPF object file and unloads it again: a libbpf program like any other, which knows nothing of grants or
// tokens.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

// libbpf explains a failed load in several lines; this program says it in one, so keep them for -v.
static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	int verbose = argc == 3 && strcmp(argv[1], "-v") == 0;

	if (argc != 2 + verbose) {
		fprintf(stderr, "usage: load_object [-v] FILE.bpf.o\n");
		return 2;
	}
	if (!verbose)
		libbpf_set_print(quiet);
	object = bpf_object__open(argv[argc - 1]);
	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "load_object: %s: %s\n", argv[argc - 1], strerror(errno));
		return 1;
	}
	printf("load_object: %s: loaded\n", argv[argc - 1]);
	bpf_object__close(object);
	return 0;
}
