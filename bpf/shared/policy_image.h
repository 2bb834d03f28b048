/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A policy in force is one image: lines of 64 bytes, written in user space, in one frozen array map. BPF programs and `policy explain` read
 * it by the same functions (policy_match.h). All numbers are in the machine's byte order; "line" is an index of lines from the image's start.
 *
 * Everything that belongs together is in one map, so the switch from one policy to the next is one write (of that map into an outer map),
 * and a hook that has taken the image once cannot see two.
 */
#ifndef BPFWARDEN_POLICY_IMAGE_H
#define BPFWARDEN_POLICY_IMAGE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define BW_IMAGE_MAGIC   0x69777062u /* "bpwi" */
#define BW_IMAGE_VERSION 2
#define BW_LINE_SIZE     64

#define BW_MAX_DOMAINS   256  /* the unconfined one is number 0 */
#define BW_MAX_DEPTH     256  /* components of a path */
#define BW_MAX_NAME      255  /* NAME_MAX */
#define BW_MAX_ENTRIES   64   /* ways into domains that one exec can meet */
#define BW_MAX_NET_RULES 256  /* of one domain */
#define BW_MAX_TOLD      128  /* rules of one set that are looked at to name the one that decided */

/* Line 0: what every decision reads. */
struct bw_image_head {
	__u32 magic;
	__u32 version;
	__u32 generation;  /* never 0; unique among the images of a boot */
	__u32 lines;
	__u32 domains;     /* how many, with number 0 */
	__u32 domain_line; /* BW_DOMAIN_LINES each */
	__u32 state_line;  /* struct bw_state, 4 a line */
	__u32 edge_line;   /* struct bw_edge, 2 a line: a bucket */
	__u32 edge_mask;   /* buckets - 1, a power of two less one */
	__u32 edge_seed;
	__u32 cell_index_line; /* __u32 [set][domain]: which cell */
	__u32 cell_line;       /* struct bw_cell, 1 a line */
	__u32 glob_line;       /* rows of the byte automaton: __u32 [256], 16 lines each */
	__u32 glob_end_line;   /* __u32 each: which of a state's targets a name leads to that ends here; 0: none */
	__u32 root;            /* state at "/" of the policy's mount namespace */
	__u32 detached;        /* state before the type of a file system that is not mounted there ("tmpfs:/a" is tmpfs, a) */
};

/* Line 1: what exec, events and rare kinds of objects read. */
struct bw_image_tail {
	__u32 cgroups;         /* state at the root of the control groups */
	__u32 types;           /* state before the type of a file system, for rules by type; 0: there are none */
	__u32 identity_line;   /* struct bw_identity, 2 a line: a bucket */
	__u32 identity_mask;
	__u32 identities;      /* 0: no rule goes by identity */
	__u32 set_line;        /* struct bw_set, 4 a line */
	__u32 sets;
	__u32 list_line;       /* __u32 each: what sets refer to */
	__u32 rule_line;       /* struct bw_rule, 1 a line */
	__u32 rules;
	__u32 entry_line;      /* struct bw_entry, 1 a line */
	__u32 entries;
	__u32 any_entries;     /* first in the list, of the entries without an executable */
	__u32 any_entry_count;
	__u32 net_line;        /* struct bw_net_rule, 1 a line */
	__u32 live_line;       /* struct bw_live, 1 a line */
};

/* What a file is known by besides its name and number; struct bw_pin. Bits of `kinds` are 1 << these. */
#define BW_PIN_FSVERITY   0
#define BW_PIN_IMA        1
#define BW_PIN_LABEL      2 /* security.bpf.bpfwarden: only who has CAP_SYS_ADMIN sets it */
#define BW_PIN_USER_LABEL 3 /* user.bpfwarden: its owner's */
#define BW_PIN_KINDS      4
#define BW_PINS_LABELS  ((1u << BW_PIN_LABEL) | (1u << BW_PIN_USER_LABEL))
#define BW_PIN_BYTES    48 /* of a digest or label: of a longer digest, the first */

/* Line 2: what is only there if files are known by a digest or a label. */
struct bw_image_pins {
	__u32 line;    /* struct bw_pin, 2 for each bucket */
	__u32 mask;    /* buckets - 1 */
	__u32 objects; /* bits: that rules go by */
	__u32 reserved[13];
};

struct bw_pin {
	__u32 number; /* of the value, from 1; 0: free */
	__u32 set;    /* of rules about files with this label; 0: none */
	__u8 kind;
	__u8 algorithm; /* of a digest: FS_VERITY_HASH_ALG_*, or IMA's hash_algo */
	__u8 length;    /* of the digest or label, as it is there */
	__u8 reserved[5];
	__u64 words[BW_PIN_BYTES / 8]; /* zeros behind it */
};

/* What a way in wants the file to be: numbers of values, 0 any. */
struct bw_entry_pins {
	__u32 numbers[BW_PIN_KINDS];
	__u32 reserved[12];
};

/* State 0 matches nothing, here or below; its set is 0, which is empty. */
struct bw_state {
	__u32 set;     /* rules whose pattern ends here */
	__u32 other;   /* next, for a name that no edge has and no glob matches */
	__u32 glob;    /* row of the byte automaton to start in, for names that no edge has; 0: none. Row 0 matches nothing */
	__u32 targets; /* which __u32 of the image: first a line of live_line, then the state for each end of the byte automaton, from 1 */
};

/* Domains that may be refused (told of) something at this state or below: a directory must not leave it for where other rules hold. */
#define BW_LIVE_DENY 1
#define BW_LIVE_WARN 2
struct bw_live {
	__u64 deny[4];
	__u64 warn[4];
};

/* A component that is written out. An edge's target already counts in the globs that match its name too. */
#define BW_EDGE_INLINE 23
#define BW_EDGE_LONG   0xff
struct bw_edge_text {
	__u32 text_line; /* where its bytes are, zeros behind them */
	__u32 length;
	__u64 reserved;
	__u8 pad[7];
	__u8 tag;        /* BW_EDGE_LONG */
};
struct bw_edge {
	__u32 from; /* 0: free */
	__u32 to;
	union {
		__u8 name[24];   /* zeros behind it, [23]: its length, up to BW_EDGE_INLINE */
		__u64 words[3];
		struct bw_edge_text longer;
	};
};

/* What the rules of one set say to one domain, as bits of policy_ops.h. */
struct bw_cell {
	__u64 allow;
	__u64 deny;
	__u64 warn;  /* deny rules in audit mode */
	__u64 audit; /* told although permitted */
	__u64 reserved[4];
};

#define BW_DOMAIN_LINES 4
#define BW_DOMAIN_SECURE_EXEC (1u << 0) /* entering it is like entering a setuid program */
#define BW_DOMAIN_LOSS_DENIES (1u << 1) /* what cannot be told is refused */
#define BW_DOMAIN_BY_TYPE     (1u << 2) /* has rules by type of file system */
#define BW_DOMAIN_BY_IDENTITY (1u << 3)
#define BW_DOMAIN_OWN_ROOT    (1u << 4) /* every path is read as if its file system were not mounted: "overlay:/etc/passwd" */
#define BW_DOMAIN_BY_LABEL    (1u << 5)
struct bw_domain {
	/* line 0: paths */
	__u64 default_deny; /* enforced where no rule allows */
	__u64 default_warn;
	__u64 default_audit;
	__u64 blind_deny;   /* when the path cannot be told: a deny could have matched */
	__u64 blind_warn;
	__u32 flags;
	__u32 net_first;    /* in net_line */
	__u32 net_count;
	__u32 pin_kinds;    /* bits of BW_PIN_*: what the ways into others from here go by */
	__u64 reserved64;
	/* line 1: what has no object (BW_OPS_PLAIN), by the same rules as a path */
	struct bw_cell plain;
	/* line 2: capabilities, a bit each */
	struct bw_cell capabilities;
	/* line 3: other domains; __u32 index of the first of `domains` cells in cell_line */
	__u32 peer_cells;
	/* What tells the rule that decided: sets. Of a peer, the list has one for each, from here on. */
	__u32 peer_sets;
	__u32 plain_set;
	__u32 capability_set;
	__u32 reserved2[12];
};

/* A file by what it is: (device, inode) of its superblock, as the kernel numbers them. */
struct bw_identity {
	__u32 device; /* MAJOR << 20 | MINOR */
	__u32 set;    /* 0: free */
	__u64 inode;
	__u32 inode_generation; /* counts too: a number that is used again is another file */
	__u32 reserved[3];
};

/* What the list has for a set is in ascending order. */
struct bw_set {
	__u32 first_rule; /* in the list: a bw_rule's place in rule_line */
	__u32 rule_count;
	__u32 first_entry; /* in the list: a bw_entry's place in entry_line */
	__u32 entry_count;
};

#define BW_EFFECT_ALLOW 0
#define BW_EFFECT_DENY  1
#define BW_EFFECT_WARN  2 /* deny, in audit mode */
#define BW_EFFECT_AUDIT 3
struct bw_rule {
	__u64 ops;
	__u32 effect;
	__u32 number; /* of the rule in the policy, from 1 */
	__u64 domains[4];
	__u64 capabilities; /* for BW_OP_CAPABLE */
	__u64 reserved;
};

/* A way into a domain, tried at exec in the order of the list; the first that fits decides. */
#define BW_ENTRY_CGROUP    (1u << 0) /* the control group's set must hold this entry too */
#define BW_ENTRY_USERNS_INIT  (1u << 1)
#define BW_ENTRY_USERNS_OTHER (1u << 2)
#define BW_ENTRY_IDENTITY  (1u << 3) /* the file's identity set must hold this entry too */
struct bw_entry {
	__u64 from[4]; /* the domains it can be entered from */
	__u32 to;
	__u32 flags;
	__u32 uid_first, uid_last;
	__u32 gid_first, gid_last;
	__u32 number;  /* its place in entry_line */
	__u32 pins;    /* line of its struct bw_entry_pins; 0: the file may be any */
};

#define BW_NET_ANY 0xffffu
struct bw_net_rule {
	__u64 ops;
	__u32 effect;
	__u32 number;     /* of the rule */
	union {
		__u8 address[16]; /* network order; zeros behind an IPv4 one */
		__u64 address_words[2];
	};
	union {
		__u8 mask[16]; /* of the bits that count */
		__u64 mask_words[2];
	};
	__u16 family; /* AF_*, BW_NET_ANY */
	__u16 port_first, port_last; /* host order */
	__u16 reserved[5];
};

#ifdef __cplusplus
static_assert(sizeof(bw_image_head) == 64 && sizeof(bw_image_tail) == 64 && sizeof(bw_state) == 16 && sizeof(bw_edge) == 32);
static_assert(sizeof(bw_live) == 64 && sizeof(bw_cell) == 64 && sizeof(bw_domain) == 64 * BW_DOMAIN_LINES && sizeof(bw_identity) == 32 && sizeof(bw_set) == 16);
static_assert(sizeof(bw_rule) == 64 && sizeof(bw_entry) == 64 && sizeof(bw_net_rule) == 64);
static_assert(sizeof(bw_image_pins) == 64 && sizeof(bw_pin) == 64 && sizeof(bw_entry_pins) == 64);
#else
_Static_assert(sizeof(struct bw_image_head) == 64 && sizeof(struct bw_image_tail) == 64 && sizeof(struct bw_state) == 16 &&
	       sizeof(struct bw_edge) == 32 && sizeof(struct bw_live) == 64 && sizeof(struct bw_cell) == 64 && sizeof(struct bw_domain) == 256 &&
	       sizeof(struct bw_identity) == 32 && sizeof(struct bw_set) == 16 && sizeof(struct bw_rule) == 64 &&
	       sizeof(struct bw_entry) == 64 && sizeof(struct bw_net_rule) == 64 && sizeof(struct bw_image_pins) == 64 &&
	       sizeof(struct bw_pin) == 64 && sizeof(struct bw_entry_pins) == 64, "the image is the same for everybody");
#endif
#endif
