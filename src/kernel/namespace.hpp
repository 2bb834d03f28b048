// SPDX-License-Identifier: Apache-2.0
// Namespaces: making, joining and telling them apart. Processes are named by pidfd, never by a bare number.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// unshare(2).
Result<> unshare(int flags);
// setns(2) by pidfd (kernel 5.8): all namespaces of `flags` in one step, the user namespace first, or none of them.
Result<> join_namespaces(PidRef process, int flags);

// One inode number on one device: equal exactly for the same namespace, while somebody holds it.
struct NamespaceId {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const NamespaceId&) const = default;
};
// `name` as in /proc/PID/ns: "user", "mnt", "net", "cgroup", …
Result<NamespaceId> own_namespace(const char* name);
// Of the process whose /proc directory is given.
Result<NamespaceId> namespace_of(FdRef proc_directory, const char* name);

// Maps each id onto itself, as seen from the parent namespace; consecutive ids share a line. At most 340 lines
// (kernel 4.15).
Result<std::string> identity_map(std::vector<std::uint32_t> ids);

}  // namespace bpfwarden::kernel
