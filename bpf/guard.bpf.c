/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guard: what is sealed cannot be taken away, also by root. `core` is attached to the root cgroup and needs nothing that could be removed;
 * `rest` is pinned where the core lets nobody remove it; `change` is the only way to change what is sealed, `show` to see it. From kernel 6.1.
 */
#include "guard/change.bpf.h"
#include "guard/rest.bpf.h"
#include "guard/show.bpf.h"

char LICENSE[] SEC("license") = "GPL";
