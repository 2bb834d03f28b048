// SPDX-License-Identifier: Apache-2.0
// Loads a BPF object file, attaches its programs to a control group by links if one is given, and holds all that until
// it is ended. Linked statically: nothing can be put in front of its system calls.
//
//   hold_object FILE.bpf.o [CGROUP]
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

int main(int argc, char** argv) {
    struct bpf_object* object;
    struct bpf_program* program;
    int cgroup = -1;

    if (argc != 2 && argc != 3) return 2;
    object = bpf_object__open(argv[1]);
    if (!object || bpf_object__load(object)) {
        fprintf(stderr, "hold_object: cannot load: %s\n", strerror(errno));
        return 1;
    }
    if (argc == 3) {
        cgroup = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bpf_object__for_each_program(program, object) if (!bpf_program__attach_cgroup(program, cgroup)) {
            fprintf(stderr, "hold_object: cannot attach: %s\n", strerror(errno));
            return 1;
        }
    }
    printf("hold_object: held\n");
    fflush(stdout);
    for (;;) pause();
}
