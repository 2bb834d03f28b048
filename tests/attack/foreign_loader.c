// SPDX-License-Identifier: Apache-2.0
// A loader of policies that knows nothing of bpfwarden: plain libbpf, everything pinned in a directory, and no process
// left.
//   foreign_loader load KIND DIRECTORY [FILE…]   open: nobody opens FILE.  connect: nobody connects to 127.0.0.77. bpf:
//   no program is measured. foreign_loader update DIRECTORY FILE…        a new policy is loaded, then the old one let
//   go foreign_loader attach KIND [FILE…]           sysctl, open: attached to the root cgroup without a link, and
//   nothing is pinned
// Status: 0, or the errno of what failed.
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "foreign.skel.h"

static const char* const root_cgroup = "/sys/fs/cgroup";

static int fail(const char* what) {
    int error = errno ? errno : EINVAL;

    fprintf(stderr, "foreign_loader: %s: %s\n", what, strerror(error));
    exit(error);
}

static char* in(const char* directory, const char* name) {
    char* path;

    if (asprintf(&path, "%s/%s", directory, name) < 0) fail("memory");
    return path;
}

/* Only the named programs: each costs time. */
static struct foreign* load(const char* const* names, char** files) {
    struct foreign* foreign = foreign__open();
    struct bpf_program* program;

    if (!foreign) fail("open");
    bpf_object__for_each_program(program, foreign->obj) {
        int wanted = 0;

        for (const char* const* name = names; *name; name++) wanted |= !strcmp(*name, bpf_program__name(program));
        bpf_program__set_autoload(program, wanted);
    }
    if (foreign__load(foreign)) fail("load");
    for (; files && *files; files++) {
        struct stat status;
        struct {
            __u64 ino, dev;
        } key;
        __u32 yes = 1;

        if (stat(*files, &status)) fail(*files);
        key.ino = status.st_ino;
        /* As the kernel itself writes a device. */
        key.dev = (__u64)major(status.st_dev) << 20 | minor(status.st_dev);
        if (bpf_map_update_elem(bpf_map__fd(foreign->maps.refused), &key, &yes, BPF_ANY)) fail("refused");
    }
    return foreign;
}

static struct foreign* load_open(char** files) {
    static const char* const names[] = {"foreign_open", "foreign_refuse", NULL};
    struct foreign* foreign = load(names, files);
    __u32 first = 0;
    int program = bpf_program__fd(foreign->progs.foreign_refuse);

    if (bpf_map_update_elem(bpf_map__fd(foreign->maps.verdict), &first, &program, BPF_ANY)) fail("verdict");
    return foreign;
}

static void pin_all(struct foreign* foreign, struct bpf_program* program, struct bpf_link* link,
                    const char* directory) {
    if (!link) fail("attach");
    if (mkdir(directory, 0700) && errno != EEXIST) fail(directory);
    if (bpf_obj_pin(bpf_link__fd(link), in(directory, "link")) ||
        bpf_obj_pin(bpf_program__fd(program), in(directory, "program")) ||
        bpf_obj_pin(bpf_map__fd(foreign->maps.refused), in(directory, "refused")) ||
        bpf_obj_pin(bpf_map__fd(foreign->maps.verdict), in(directory, "verdict")))
        fail("pin");
}

static void load_kind(const char* kind, const char* directory, char** files) {
    static const char *const connect_names[] = {"foreign_connect", NULL}, *const bpf_names[] = {"foreign_bpf", NULL};
    struct foreign* foreign;
    struct bpf_program* program;
    struct bpf_link* link;

    if (!strcmp(kind, "open")) {
        foreign = load_open(files);
        program = foreign->progs.foreign_open;
        link = bpf_program__attach(program);
    } else if (!strcmp(kind, "connect")) {
        int cgroup = open(root_cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        foreign = load(connect_names, NULL);
        program = foreign->progs.foreign_connect;
        link = bpf_program__attach_cgroup(program, cgroup);
    } else if (!strcmp(kind, "bpf")) {
        foreign = load(bpf_names, NULL);
        program = foreign->progs.foreign_bpf;
        link = bpf_program__attach(program);
    } else {
        errno = EINVAL;
        fail(kind);
    }
    pin_all(foreign, program, link, directory);
}

/* The new one decides before the old one ends: each pin is replaced by its successor. */
static void update(const char* directory, char** files) {
    static const char* const names[] = {"link", "program", "refused", "verdict"};
    struct foreign* foreign = load_open(files);
    char* next = in(directory, "next");

    pin_all(foreign, foreign->progs.foreign_open, bpf_program__attach(foreign->progs.foreign_open), next);
    for (unsigned each = 0; each < sizeof(names) / sizeof(*names); each++)
        if (rename(in(next, names[each]), in(directory, names[each]))) fail("replace");
    if (rmdir(next)) fail("rmdir");
}

static void attach_kind(const char* kind, char** files) {
    static const char *const sysctl_names[] = {"foreign_sysctl", NULL}, *const open_names[] = {"foreign_open_in", NULL};
    const int sysctl = !strcmp(kind, "sysctl");
    struct foreign* foreign = load(sysctl ? sysctl_names : open_names, files);
    const struct bpf_program* program = sysctl ? foreign->progs.foreign_sysctl : foreign->progs.foreign_open_in;
    int cgroup = open(root_cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (bpf_prog_attach(bpf_program__fd(program), cgroup, sysctl ? BPF_CGROUP_SYSCTL : BPF_LSM_CGROUP,
                        BPF_F_ALLOW_MULTI))
        fail("attach");
}

int main(int argc, char** argv) {
    if (argc > 3 && !strcmp(argv[1], "load"))
        load_kind(argv[2], argv[3], argv + 4);
    else if (argc > 3 && !strcmp(argv[1], "update"))
        update(argv[2], argv + 3);
    else if (argc > 2 && !strcmp(argv[1], "attach"))
        attach_kind(argv[2], argv + 3);
    else
        return EINVAL;
    return 0;
}
