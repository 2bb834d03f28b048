/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a policy decides about: one bit each. The names are those of the language (`policy/operations.cpp` has the table). */
#ifndef BPFWARDEN_POLICY_OPS_H
#define BPFWARDEN_POLICY_OPS_H

/* On a path. */
#define BW_OP_READ       (1ull << 0)
#define BW_OP_WRITE      (1ull << 1)  /* an open for writing anywhere in the file */
#define BW_OP_APPEND     (1ull << 2)  /* an open for writing with O_APPEND; `write` does not include it */
#define BW_OP_TRUNCATE   (1ull << 3)
#define BW_OP_CREATE     (1ull << 4)  /* a regular file */
#define BW_OP_MKDIR      (1ull << 5)
#define BW_OP_MKNOD      (1ull << 6)  /* device, fifo, socket */
#define BW_OP_SYMLINK    (1ull << 7)
#define BW_OP_DELETE     (1ull << 8)  /* unlink, rmdir, being replaced by a rename */
#define BW_OP_RENAME     (1ull << 9)  /* both names */
#define BW_OP_LINK       (1ull << 10) /* both names */
#define BW_OP_CHMOD      (1ull << 11)
#define BW_OP_CHOWN      (1ull << 12)
#define BW_OP_SETXATTR   (1ull << 13) /* and removing one, and POSIX ACLs */
#define BW_OP_EXEC       (1ull << 14)
#define BW_OP_MAP_EXEC   (1ull << 15) /* mmap or mprotect with PROT_EXEC */
#define BW_OP_MOUNT      (1ull << 16) /* the place mounted on; remounting and moving too */
#define BW_OP_UMOUNT     (1ull << 17)
#define BW_OP_PIVOT_ROOT (1ull << 18)
#define BW_OP_CHROOT     (1ull << 19)

/* On an address. */
#define BW_OP_BIND    (1ull << 24)
#define BW_OP_CONNECT (1ull << 25) /* and sending to an address without connecting */
#define BW_OP_LISTEN  (1ull << 26)
#define BW_OP_ACCEPT  (1ull << 27)
#define BW_OP_SOCKET  (1ull << 28) /* making one: by family alone */

/* On a domain. */
#define BW_OP_PTRACE      (1ull << 32) /* and writing memory */
#define BW_OP_READ_MEMORY (1ull << 33) /* what PTRACE_MODE_READ guards */
#define BW_OP_SIGNAL      (1ull << 34)

/* On a capability. */
#define BW_OP_CAPABLE (1ull << 40)

/* On nothing. */
#define BW_OP_BPF      (1ull << 48)
#define BW_OP_PERF     (1ull << 49)
#define BW_OP_MODULE   (1ull << 50)
#define BW_OP_USERNS   (1ull << 51)
#define BW_OP_IO_URING (1ull << 52)
#define BW_OP_MAP_ANON_EXEC (1ull << 53) /* executable memory that is no file's, or that was written to */

#define BW_OPS_PATH    0x00000000000fffffull
/* What a rule can say about files with a label: the kernel lets programs read one where a file is opened, and nowhere else. */
#define BW_OPS_LABEL   (BW_OP_READ | BW_OP_WRITE | BW_OP_APPEND | BW_OP_EXEC)
#define BW_OPS_ADDRESS 0x000000001f000000ull
#define BW_OPS_DOMAIN  0x0000000700000000ull
#define BW_OPS_PLAIN   0x003f000000000000ull
/* What a new name of a file must not allow if its old name does not (link, rename). */
#define BW_OPS_OF_CONTENT (BW_OP_READ | BW_OP_WRITE | BW_OP_APPEND | BW_OP_TRUNCATE | BW_OP_EXEC | BW_OP_MAP_EXEC | BW_OP_CHMOD | \
                           BW_OP_CHOWN | BW_OP_SETXATTR)
#endif
