/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp filters at run time: from an eBPF object, a container's profile or classic BPF to a program that is proven to
 * be the same function, and into the kernel. See libbpfwarden-filter(3); filters in C are written with
 * <bpfwarden/seccomp_filter.h>.
 *
 *     bpfw_filter *filter = bpfw_filter_build_file("filter.bpf.o", NULL);
 *     if (filter == NULL)
 *         errx(1, "%s", bpfw_error());
 *     if (bpfw_filter_install(filter, 0) < 0)
 *         errx(1, "%s", bpfw_error());
 *     bpfw_filter_free(filter);
 *
 * For every function, unless it says otherwise:
 *  - It needs no privilege, no daemon and no session, and the kernel has no part in it but for bpfw_filter_install().
 *  - It fails with NULL or -1, errno, and a text for people (bpfw_error()). Besides its own errors: ENOMEM, and EIO for
 *    a trouble of the library's own, which is a defect.
 *  - It may be called from any thread. A filter does not change once it is built: any number of threads may use one at
 *    once, but for bpfw_filter_free().
 *  - Pointers are not NULL, texts end with NUL. What a filter points to lives as long as the filter.
 */
#ifndef BPFWARDEN_FILTER_H
#define BPFWARDEN_FILTER_H

#include <bpfwarden/bpfwarden.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bpfw_filter bpfw_filter;

/* ---- Building */

/* What the program is to be fast for. */
enum {
    BPFW_FILTER_USUAL = 0,   /* calls whose arguments are looked at, and what the kernel's cache does not answer */
    BPFW_FILTER_UNIFORM = 1, /* every system call alike */
};

/* How long to look for a better program. It is counted in steps: the same source gives the same bytes. */
enum {
    BPFW_FILTER_NORMAL = 0,
    BPFW_FILTER_QUICK = 1,
    BPFW_FILTER_HIGH = 2,
};

/* What several conditions on one argument of one rule of a profile mean. */
enum {
    BPFW_FILTER_ALL_HOLD = 0,  /* as the specification has it */
    BPFW_FILTER_ANY_HOLDS = 1, /* as runc reads it */
};

/* What system calls without a rule in a profile get. */
enum {
    BPFW_FILTER_NO_RULE_DEFAULT = 0,        /* the profile's default action */
    BPFW_FILTER_NO_RULE_ENOSYS_ABOVE = 1,   /* ENOSYS above the largest number that a rule names, as runc */
    BPFW_FILTER_NO_RULE_ENOSYS_UNKNOWN = 2, /* ENOSYS for what `kernel` does not have */
};

/* The numbers of a set that the source declares with BPFW_SET_FILE. */
struct bpfw_filter_set {
    const char* name;
    const uint64_t* numbers;
    size_t count;
};

/* What is 0 or NULL is as its remark says. Later releases add members at the end. */
struct bpfw_filter_options {
    size_t size; /* sizeof(struct bpfw_filter_options) */
    /* Whose system calls it decides about, with NULL after the last: "x86_64", "x32", "i386", "aarch64". NULL: all that
     * a process of this machine can make, or those of the profile. Classic BPF is what it is. */
    const char* const* architectures;
    const char* kernel;        /* whose tables say which system calls there are, "6.12"; NULL: the newest */
    const char* oldest_kernel; /* that it shall be fast on, "5.10"; NULL: the newest */
    /* What calls of every other architecture get, "ERRNO(ENOSYS)"; NULL: KILL_PROCESS. */
    const char* bad_arch;
    uint32_t objective;     /* BPFW_FILTER_USUAL, … */
    uint32_t effort;        /* BPFW_FILTER_NORMAL, … */
    uint32_t require_proof; /* 1: it fails if the program is not proven to be the source's function */
    uint32_t same_argument; /* BPFW_FILTER_ALL_HOLD, … */
    uint32_t no_rule;       /* BPFW_FILTER_NO_RULE_DEFAULT, … */
    uint32_t reserved;      /* 0 */
    const struct bpfw_filter_set* sets;
    size_t set_count;
    /* Of the process, for profiles that ask for them: "CAP_SYS_ADMIN", with NULL after the last. NULL: none. */
    const char* const* capabilities;
};

/*
 * A filter from `size` bytes: an ELF file is an eBPF object, what begins with '{' is a profile (OCI, Docker, Podman),
 * everything else is classic BPF, instructions of 8 bytes. They may come from anybody: what is wrong is refused, in
 * bounded time and memory. NULL for `options` is all that is usual.
 *
 * EINVAL       the source is wrong: the text names the line of C, the place in the profile, or the instruction. Or an
 *              option has a value that it cannot have
 * E2BIG        a limit of classic BPF or of the compiler is reached, and the text says by what. Or `options` has
 *              members that this release does not know
 * EOPNOTSUPP   it was not proven, and require_proof is 1; or classic BPF that is too intricate to be understood
 */
BPFW_API bpfw_filter* bpfw_filter_build(const void* source, size_t size, const struct bpfw_filter_options* options);

/*
 * The same, from a file. C is not compiled: that is `bpfwarden filter build`, or clang.
 *
 * EFBIG   it has more than 64 MiB
 * Any error of open(2) and read(2), and of bpfw_filter_build().
 */
BPFW_API bpfw_filter* bpfw_filter_build_file(const char* path, const struct bpfw_filter_options* options);

/* NULL is nothing. What was installed stays. No other thread may be using it. */
BPFW_API void bpfw_filter_free(bpfw_filter* filter);

/* ---- What was built. None of these can fail. */

/* Its instructions, 1 to 4096, in the form that seccomp(2) takes. */
BPFW_API const struct sock_filter* bpfw_filter_program(const bpfw_filter* filter, size_t* count);

/* What the source does that its author may not have meant, a line each, "where: what"; "" if there is nothing. */
BPFW_API const char* bpfw_filter_warnings(const bpfw_filter* filter);

/* 1 if the program was proven to be the source's function, for every input; else 0. Classic BPF is its own source. */
BPFW_API int bpfw_filter_proven(const bpfw_filter* filter);

/*
 * The flags that a profile asks for (`flags`; SECCOMP_FILTER_FLAG_NEW_LISTENER where an action notifies), in the form
 * that bpfw_filter_install() takes; 0 for other sources.
 */
BPFW_API unsigned int bpfw_filter_flags(const bpfw_filter* filter);

/* ---- Installing */

/*
 * For the calling thread, every thread and process that it makes from now on, and for good; it sets no_new_privs first
 * (prctl(2)), which stays set if it fails afterwards. `flags` are those of seccomp(2), and the filters of a thread add
 * up: the smallest action wins.
 *
 *   SECCOMP_FILTER_FLAG_TSYNC          for every thread of the process, or for none
 *   SECCOMP_FILTER_FLAG_LOG            every action but ALLOW may be logged (4.14)
 *   SECCOMP_FILTER_FLAG_SPEC_ALLOW     without the mitigation of speculative store bypass (4.17)
 *   SECCOMP_FILTER_FLAG_NEW_LISTENER   gives the fd at which USER_NOTIF is answered (5.0; with TSYNC 5.7)
 *   SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV   with NEW_LISTENER: once an answer is under way, only a fatal signal breaks
 *                                      the call (5.19)
 *
 * Gives 0, or with NEW_LISTENER the fd, which is the caller's. The filter is in force when it returns: the next call,
 * of the caller's or of libc's, is decided by it.
 *
 * EINVAL   a flag is not one of these, or not known to this kernel, or they do not go together
 * EBUSY    a filter of the process has a listener already
 * ENOMEM   all filters of a thread together are too long (32768 instructions of the kernel's)
 * ESRCH    TSYNC: another thread has a filter that this one does not have. None got the new one
 * Any other error of seccomp(2).
 */
BPFW_API int bpfw_filter_install(const bpfw_filter* filter, unsigned int flags);

/* ---- Comparing */

enum {
    BPFW_FILTER_SAME = 0,
    BPFW_FILTER_DIFFERENT = 1,
    BPFW_FILTER_UNDECIDED = 2, /* it takes too much memory, or arithmetic that is not done; never to be taken for yes */
};

/* An input for which they differ, and what each returns for it. */
struct bpfw_filter_difference {
    struct seccomp_data data;
    uint32_t one;
    uint32_t other;
};

/*
 * Whether two programs are the same function, over all inputs: BPFW_FILTER_SAME, …DIFFERENT, or …UNDECIDED. An example
 * goes to `difference` where they differ, if that is not NULL; otherwise it is left alone.
 */
BPFW_API int bpfw_filter_compare(const bpfw_filter* one, const bpfw_filter* other,
                                 struct bpfw_filter_difference* difference);

#ifdef __cplusplus
}
#endif

#endif
