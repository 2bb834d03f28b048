// SPDX-License-Identifier: Apache-2.0
// Keeps what a token cannot: attaching asks for no capability, only for a descriptor of the target. So a command whose
// grant has cgroup programs must not reach any cgroup directory but its own, and one with programs that attach by
// network namespace fd must not reach a named network namespace (docs/containment.md).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::token {

struct Containment {
    bool cgroups = false;             // cgroup program types are granted
    bool network_namespaces = false;  // sk_lookup or flow_dissector is granted
    explicit operator bool() const { return cgroups || network_namespaces; }
};

// A cgroup of the calling process's own, below the one it was in, with no other process in it. A watcher process
// removes it when the last process in it has ended, whatever ends first. Empty ones that a killed watcher left are
// removed too.
Result<> enter_own_cgroup();

// In a mount namespace that the caller has just unshared and made private: puts an empty, unreadable directory over
// every cgroup2 mount and /dev/null over every mounted network namespace, and checks that none can be reached by path
// any more. Returns where the first cgroup2 mount was (empty: there is none). When the mount namespace is then unshared
// together with a user namespace, the kernel locks these mounts in place.
Result<std::string> cover_targets(const Containment& containment);

// In the command's own user, mount and cgroup namespaces: shows its own cgroup at `path`.
Result<> mount_own_cgroup(const std::string& path);

// An fd that the command inherits would lead around the covers: a directory (openat from it walks the old mount
// namespace), a file of cgroupfs or a namespace.
Result<> check_inherited_fds(std::span<const int> fds, const Containment& containment);

}  // namespace bpfwarden::token
