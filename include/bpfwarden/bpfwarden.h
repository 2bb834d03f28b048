/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpfwarden: BPF under a grant, without privilege. See libbpfwarden(3).
 *
 * A *session* is a grant held open. It is a file descriptor like any other: it is inherited, passed over a socket, and
 * outlives every privilege that its holder drops. What is called here is done by bpfwarden's broker, if the grant has
 * it.
 *
 *     bpfw_session *session = bpfw_open("exec-observer");
 *     if (session == NULL)
 *         errx(1, "%s", bpfw_error());
 *     bpfw_use(session);
 *     int map = bpfw_sys_bpf(BPF_MAP_CREATE, &attr, sizeof(attr));
 *
 * For every function, unless it says otherwise:
 *  - It needs no privilege, and Linux 6.1 or newer.
 *  - It fails with NULL or -1, errno, and a text for people (bpfw_error()). Besides its own errors:
 *      ECONNRESET  the broker ended, or the session was revoked or is over
 *      ETIMEDOUT   no answer within bpfw_set_timeout()
 *      EPROTO      what came is not an answer of bpfwarden's, or of a release that does not fit this one
 *      EMFILE, ENFILE, ENOMEM   this process or machine has no more of them
 *      EBADF       the session's fd was closed behind the library's back
 *      EIO         the broker had a trouble of its own, which has no errno
 *  - It may be called from any thread, and on one session from several at once: each call has a connection of its own.
 * After fork() the child may go on using the parent's sessions.
 *  - File descriptors that it makes are close-on-exec. It never raises SIGPIPE, and goes on after a signal.
 *  - Pointers are not NULL, texts end with NUL.
 */
#ifndef BPFWARDEN_BPFWARDEN_H
#define BPFWARDEN_BPFWARDEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BPFW_API __attribute__((visibility("default")))

union bpf_attr;         /* <linux/bpf.h> */
struct perf_event_attr; /* <linux/perf_event.h> */

typedef struct bpfw_session bpfw_session;

/* ---- Sessions */

/*
 * Opens the grant of that name: /run/bpfwarden/grant/NAME, or grant/NAME in the directory that the environment variable
 * BPFWARDEN_RUN names.
 *
 * EACCES, EPERM  the grant is not for this user, group, control group or program
 * ENOENT         there is no such grant, or no daemon
 * ECONNREFUSED   no daemon is running
 * EINVAL         the name is empty or has a '/'
 * ENAMETOOLONG   the path is longer than a socket's address
 */
BPFW_API bpfw_session* bpfw_open(const char* grant);

/*
 * A session from its fd: one that was inherited, or received. The library owns the fd from then on, and makes it
 * close-on-exec; after a failure it is still the caller's. Whether it is a session shows at the first call.
 *
 * EBADF         it is not open
 * ENOTSOCK, EPROTOTYPE   it is no session
 */
BPFW_API bpfw_session* bpfw_adopt(int fd);

/*
 * The session's fd, which the library goes on owning. For a child that is to inherit it, take FD_CLOEXEC off. Nothing
 * may be read from it or written to it.
 */
BPFW_API int bpfw_fd(const bpfw_session* session);

/* Closes this process's hold on the session; NULL is nothing. No other thread may be using it. */
BPFW_API void bpfw_close(bpfw_session* session);

/*
 * How long a call waits for the broker, in milliseconds; 0, the default, is until it answers or ends. A call that ran
 * out of time may have been done.
 */
BPFW_API void bpfw_set_timeout(bpfw_session* session, unsigned int milliseconds);

/*
 * A smaller session: `grant` is a text in the grant language (bpfwarden-grant(5)), and all it allows must be allowed by
 * this session. It ends with the session it was derived from.
 *
 * EINVAL, EPERM   the text is wrong, or asks for more
 */
BPFW_API bpfw_session* bpfw_derive(bpfw_session* session, const char* grant);

/*
 * Passes the session over an AF_UNIX socket, as one byte with the fd (SCM_RIGHTS). Both sides have it then.
 *
 * EAGAIN   the socket does not block and is full; any other error of sendmsg(2)
 */
BPFW_API int bpfw_pass(bpfw_session* session, int socket);

/*
 * Takes what bpfw_pass() sent.
 *
 * ECONNRESET   the other end closed
 * EPROTO       what came is no session
 * EAGAIN       the socket does not block and has nothing; any other error of recvmsg(2)
 */
BPFW_API bpfw_session* bpfw_receive(int socket);

/*
 * Leaves the signature of a program with the session, for grants that ask for one ([identity] signers): a detached CMS
 * signature in DER over the stream that `bpfwarden grant digest` shows. A program that is loaded without a signature of
 * its own is then looked for among them. They are kept until the session ends; one that is there already is not counted
 * twice. Whether it is good for anything shows when the program is loaded.
 *
 * EINVAL   it is empty
 * E2BIG    it has more than 16 KiB
 * ENOSPC   the session has 64 already
 */
BPFW_API int bpfw_add_signature(bpfw_session* session, const void* signature, size_t size);

/* ---- Calls */

/*
 * bpf(2) over the session: its result, or -1 and errno. `attr` and what it points to are as for bpf(2); addresses that
 * are wrong are this process's fault, not EFAULT.
 *
 * Programs and links come back as *stand-ins*: fds that the broker can turn back, in later calls of the session, and
 * the kernel cannot. Maps, BTF objects and iterators are the kernel's own.
 *
 * Where a command goes:
 *  - To the broker: map_create, prog_load, btf_load, link_create, link_update, link_detach, iter_create, prog_attach,
 *    prog_detach, prog_query, prog_run, prog_bind_map, raw_tracepoint_open; {prog,map,link}_get_next_id and
 * _get_fd_by_id, which know the session's own objects alone.
 *  - To the kernel, at no cost: commands that need no privilege with the fd in hand: map_{lookup,update,delete,
 *    lookup_and_delete}_elem, map_get_next_key, the map batch commands, obj_pin, obj_get,
 * prog_stream_read_by_fd.
 *  - To the kernel, or for a stand-in to the broker: obj_get_info_by_fd.
 *  - To the kernel, or where that asks for a capability (before 6.5) to the broker: map_freeze.
 *
 * EPERM    the grant refuses it: bpfw_error_key() and bpfw_error_line() name what in it. Or the command does not go
 *          through a session
 * A program's signature (signature, signature_size; Linux 6.18) is checked by the broker, by the keys that bpfwarden
 * has, and where the grant asks for one; keyring_id must be 0 or KEY_SPEC_SESSION_KEYRING.
 *
 * E2BIG    attributes that this release does not know, or more than a message holds (64 MiB, 250 fds)
 * EKEYREJECTED   the grant asks for a signature, and the program has none that it takes
 * EBADF    an fd in `attr` is not open
 * Any other error of bpf(2), from the kernel.
 */
BPFW_API int bpfw_bpf(bpfw_session* session, int command, union bpf_attr* attr, unsigned int size);

/*
 * Makes it the session of bpfw_sys_bpf(), for all threads; NULL ends that. Gives the one before, or NULL. It cannot
 * fail.
 */
BPFW_API bpfw_session* bpfw_use(bpfw_session* session);

/* The session of bpfw_sys_bpf(), or NULL. */
BPFW_API bpfw_session* bpfw_used(void);

/*
 * bpf(2), with its own signature, over the session of bpfw_use(). As bpfw_bpf().
 *
 * ENOTCONN   no session is in use
 */
BPFW_API int bpfw_sys_bpf(int command, union bpf_attr* attr, unsigned int size);

/*
 * perf_event_open(2) over the session, for the tracepoints, kprobes, uprobes and software events that the grant's
 * targets name: an fd of the kernel's own. pid 0 is this process. A uprobe's path is resolved here, and must lead to
 * the same file where the daemon is. PERF_FLAG_PID_CGROUP is not possible (EOPNOTSUPP).
 *
 * EPERM   the grant refuses it
 * Any other error of perf_event_open(2).
 */
BPFW_API int bpfw_perf_event_open(bpfw_session* session, const struct perf_event_attr* attr, pid_t pid, int cpu,
                                  int group_fd, unsigned long flags);

/*
 * The number of a tracepoint, "sched/sched_switch", which perf_event_open(2) takes: what tracefs has in
 * events/sched/sched_switch/id, and does not show to everybody.
 *
 * EPERM    the grant's targets do not name it
 * ENOENT   there is no such tracepoint
 */
BPFW_API int bpfw_tracepoint_id(bpfw_session* session, const char* tracepoint);

/*
 * The text of a tracepoint's format file, into `buffer` with a NUL, cut to `size`. Gives its whole length as
 * snprintf(3) does. Errors as bpfw_tracepoint_id().
 */
BPFW_API ssize_t bpfw_tracepoint_format(bpfw_session* session, const char* tracepoint, char* buffer, size_t size);

/* ---- What a session is */

struct bpfw_usage {
    const char* what; /* "maps", "programs", … as in the grant's [limits] */
    uint64_t used;
    uint64_t limit; /* 0: none */
};

struct bpfw_description {
    const char* session;  /* its id, as in the audit and in `bpfwarden session list` */
    const char* grant;    /* the name it was opened under */
    const char* revision; /* of the grant's text */
    uint64_t lifetime_ms; /* what is left; 0: no end */
    size_t usage_count;
    const struct bpfw_usage* usage;
};

/* One piece of memory, for bpfw_free_description(). */
BPFW_API struct bpfw_description* bpfw_describe(bpfw_session* session);

/* NULL is nothing. */
BPFW_API void bpfw_free_description(struct bpfw_description* description);

/* ---- What went wrong */

/*
 * About the last call of this thread that failed, up to three lines: what failed; why; what to do about it. "" if none
 * did. It is there until the thread's next call that fails. None of these three can fail.
 */
BPFW_API const char* bpfw_error(void);

/* The key of the grant that refused, "allow.map_types"; "" if it was no refusal, or nothing in the grant says it. */
BPFW_API const char* bpfw_error_key(void);

/* Where that stands: "exec-observer.toml:7:1", or "". */
BPFW_API const char* bpfw_error_line(void);

/* The library's release, "0.1.0". */
BPFW_API const char* bpfw_version(void);

#ifdef __cplusplus
}
#endif

#endif
