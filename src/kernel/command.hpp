// SPDX-License-Identifier: Apache-2.0
// The last steps of a process that is to be another program, as somebody else.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kernel/capability.hpp"

namespace bpfwarden::kernel {

// Exit statuses for failures of whoever launches, as env(1) and container tools have them.
inline constexpr int launch_failed = 125, cannot_execute = 126, command_not_found = 127;

struct UserIds {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};
// This process is that user from here on, with these capabilities of its user namespace, effective and inheritable, and
// no others.
Result<> become(const UserIds& ids, CapabilityMask capabilities);

// Besides 0, 1 and 2 only these are left to the program that is executed.
Result<> pass_on_fds(std::span<const int> fds);

struct NotExecuted {
    Error error;
    int status = launch_failed;
};
// Comes back only if it cannot be executed.
NotExecuted execute(const std::vector<std::string>& command);

}  // namespace bpfwarden::kernel
