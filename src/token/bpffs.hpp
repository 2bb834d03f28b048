// SPDX-License-Identifier: Apache-2.0
// A bpffs instance that delegates: made for one user namespace, with exact masks, and mounted where libbpf looks for
// it.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "kernel/bpf.hpp"

namespace bpfwarden::token {

struct BpffsRequest {
    kernel::Delegation delegation;
    // Who owns its root directory (mode 0700), as the host numbers them; must be mapped in the namespace.
    uid_t uid = 0;
    gid_t gid = 0;
    // Where to mount it, looked up in the target's root without following links.
    std::string path = "/sys/fs/bpf";
};

struct BpffsMount {
    dev_t device = 0;  // st_dev of the mounted instance: how the target can see that it got this one
};

// Mounts a delegating bpffs in the user and mount namespace of `target`, a process outside the initial user namespace.
// Needs CAP_SYS_ADMIN in the initial user namespace, and kernel 6.9.
//
// Soundness: the file system context is opened by a child forked here, which enters the target's namespaces (both by
// one pidfd) and is not dumpable, so nobody in there can trace it; no fd that was made on the other side is ever
// configured. What comes back from the child is still checked to be a bpffs before its masks are set, and again when
// mounted. The masks are sent as one number each and compared with what the kernel says of a token made from the
// instance, before the instance appears anywhere. The mount target is an fd, found without following symbolic links.
Result<BpffsMount> mount_delegating_bpffs(PidRef target, pid_t target_pid, const BpffsRequest& request);

}  // namespace bpfwarden::token
