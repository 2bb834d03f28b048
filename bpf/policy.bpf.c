/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policies: access control in BPF LSM. One program a hook; user space loads those that a rule needs. From kernel 6.1.
 * Programs that read for others are last, and user space attaches in this order; see pins.bpf.h.
 * A program with `_by_path` behind its hook's name is the same for kernels where struct file has its path in a union.
 */
#include "policy/decide.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#include "policy/exec.bpf.h"
#include "policy/files.bpf.h"
#include "policy/net.bpf.h"
#include "policy/rest.bpf.h"
#include "policy/read.bpf.h"
