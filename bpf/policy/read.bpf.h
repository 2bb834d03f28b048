/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs that may sleep: they read digests and labels, and decide nothing. pins.bpf.h says what becomes of that. */
#ifndef BPFWARDEN_POLICY_READ_BPF_H
#define BPFWARDEN_POLICY_READ_BPF_H

#include "decide.bpf.h"

extern int bpf_get_fsverity_digest(struct file *file, struct bpf_dynptr *digest) __ksym __weak;              /* 6.8 */
extern int bpf_get_file_xattr(struct file *file, const char *name, struct bpf_dynptr *value) __ksym __weak; /* 6.8; security.bpf.: 6.15 */

#define ERANGE     34
#define ENODATA    61
#define EOPNOTSUPP 95
/* The kernel's enum hash_algo. */
#define HASH_ALGO_SHA256 4
#define HASH_ALGO_SHA384 5
#define HASH_ALGO_SHA512 6

/* Room for what is read of one kind, empty. Null: it is not ASKED for, and what was read of another file is no longer there; or no memory. */
static __always_inline struct bw_found *bw_read(__u32 kind, bool asked)
{
	struct bw_found *found =
		bpf_task_storage_get(&founds, bpf_get_current_task_btf(), 0, asked ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);

	if (!found)
		return NULL;
	found->kinds &= ~(1u << kind);
	found->unknown &= ~(1u << kind);
	__builtin_memset(&found->values[kind], 0, sizeof(found->values[kind]));
	return asked ? found : NULL;
}

static __always_inline void bw_have_read(struct bw_found *found, __u32 kind, bool known)
{
	found->kinds |= 1u << kind;
	if (!known)
		found->unknown |= 1u << kind;
}

static __always_inline bool bw_exec_asks(__u32 kind)
{
	struct bw_control *now = bw_control();
	__u32 domain = bw_current_domain();

	return now && now->exec_domains[kind][(domain >> 6) & 3] >> (domain & 63) & 1;
}

SEC("?lsm.s/bprm_creds_for_exec")
int BPF_PROG(bprm_read_fsverity, struct linux_binprm *bprm)
{
	bool asked = bw_exec_asks(BW_PIN_FSVERITY);
	struct bw_found *found = bw_read(BW_PIN_FSVERITY, asked);
	struct bw_pin_value *value;
	struct bpf_dynptr digest;
	int error;

	if (!found)
		return asked ? -ENOMEM : 0;
	value = &found->values[BW_PIN_FSVERITY];
	bpf_dynptr_from_mem(&value->algorithm, sizeof(*value) - sizeof(value->reserved), 0, &digest);
	error = bpf_get_fsverity_digest(bprm->file, &digest);
	if (error)
		value->length = 0;
	bw_have_read(found, BW_PIN_FSVERITY, !error || error == -ENODATA);
	return 0;
}

/* Reads the whole file, unless IMA has it measured already. */
SEC("?lsm.s/bprm_creds_for_exec")
int BPF_PROG(bprm_read_ima, struct linux_binprm *bprm)
{
	bool asked = bw_exec_asks(BW_PIN_IMA);
	struct bw_found *found = bw_read(BW_PIN_IMA, asked);
	struct bw_pin_value *value;
	long algorithm;

	if (!found)
		return asked ? -ENOMEM : 0;
	value = &found->values[BW_PIN_IMA];
	algorithm = bpf_ima_file_hash(bprm->file, value->words, sizeof(value->words));
	value->algorithm = algorithm;
	/* With any other it is a digest that no policy has. */
	value->length = algorithm == HASH_ALGO_SHA256   ? 32
			: algorithm == HASH_ALGO_SHA384 ? 48
			: algorithm == HASH_ALGO_SHA512 ? 64
							: 0;
	bw_have_read(found, BW_PIN_IMA, algorithm >= 0);
	return 0;
}

static __always_inline void bw_read_label(struct file *file, struct bw_found *found, __u32 kind, const char *name)
{
	struct bw_pin_value *value = &found->values[kind];
	struct bpf_dynptr room;
	int length;

	bpf_dynptr_from_mem(value->words, sizeof(value->words), 0, &room);
	length = bpf_get_file_xattr(file, name, &room);
	value->length = length > 0 ? length : 0;
	/* One that is longer than any that a policy has is none that it could mean. */
	bw_have_read(found, kind, length >= 0 || length == -ENODATA || length == -EOPNOTSUPP || length == -ERANGE);
}

static const char bw_label[] = "security.bpf.bpfwarden";
static const char bw_user_label[] = "user.bpfwarden";

/* Which labels are asked for of FILE, that is being opened. */
static __always_inline __u32 bw_open_asks(struct file *file)
{
	struct bw_control *now = bw_control();
	__u32 domain = bw_current_domain(), kinds;

	if (!now)
		return 0;
	kinds = 0;
	if (file->f_flags & FMODE_EXEC)
		kinds = bw_exec_asks(BW_PIN_LABEL) << BW_PIN_LABEL | bw_exec_asks(BW_PIN_USER_LABEL) << BW_PIN_USER_LABEL;
	if (domain && now->label_domains[(domain >> 6) & 3] >> (domain & 63) & 1)
		kinds |= now->object_kinds;
	return kinds & BW_PINS_LABELS;
}

/* An overlay opens its own files in the middle of this: the overlay's is the one that counts. */
SEC("?lsm.s/file_open")
int BPF_PROG(file_read_label, struct file *file)
{
	__u32 kinds = bw_open_asks(file);
	struct bw_found *label, *user_label;

	if (bw_on_behalf())
		return 0;
	label = bw_read(BW_PIN_LABEL, kinds & 1u << BW_PIN_LABEL);
	if (label) {
		bw_read_label(file, label, BW_PIN_LABEL, bw_label);
		label->labelled = (__u64)file->f_path.dentry;
	}
	user_label = bw_read(BW_PIN_USER_LABEL, kinds & 1u << BW_PIN_USER_LABEL);
	if (user_label) {
		bw_read_label(file, user_label, BW_PIN_USER_LABEL, bw_user_label);
		user_label->labelled = (__u64)file->f_path.dentry;
	}
	return 0;
}

/* Asked once, by user space: with which algorithm does IMA make digests here? In file_open the file could not be read yet. */
const volatile __u32 bw_asking;
int bw_ima_algorithm = -EOPNOTSUPP;

SEC("?lsm.s/file_ioctl")
int BPF_PROG(file_ask_ima, struct file *file)
{
	__u64 digest[8];

	if ((__u32)bpf_get_current_pid_tgid() == bw_asking)
		bw_ima_algorithm = bpf_ima_file_hash(file, digest, sizeof(digest));
	return 0;
}
#endif
