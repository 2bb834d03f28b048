// SPDX-License-Identifier: Apache-2.0
// Runs a command as a user, in namespaces of its own, with a delegating bpffs where libbpf finds the token by itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.hpp"
#include "kernel/bpf.hpp"
#include "kernel/capability.hpp"
#include "kernel/command.hpp"
#include "token/containment.hpp"

namespace bpfwarden::token {

struct LaunchRequest {
    kernel::Delegation delegation;
    kernel::CapabilityMask capabilities = 0;  // inside the command's user namespace; it has none outside
    kernel::UserIds ids;
    bool private_network = true;
    Containment containment;
    std::string token_path = "/sys/fs/bpf";
    std::vector<int> keep_fds;  // besides 0, 1 and 2
    std::vector<std::string> command;
};

// Puts the calling process into its namespaces, as its user, with the bpffs mounted and the capabilities cut down to
// the grant's: everything but the exec. On failure it may be half way in and should exit. Needs root in the initial
// user namespace, one thread, and kernel 6.9.
//
// Soundness: the new user namespace is owned by root (it is unshared before the change of user), so other processes of
// the user cannot enter it or trace the command, and only the user's own ids are mapped, so a set-uid program gains
// nothing. The power in it is given up, bounding set included, before anything of the user's is executed.
Result<> enter(const LaunchRequest& request);

// enter(), then becomes the command: the calling process execs it, so that its pid, terminal, signals and exit status
// are the command's own, and nothing of ours is left to be killed (but the watcher of a cgroup, see containment.hpp).
// Returns only on failure; then the process may have entered the namespaces and should exit. Needs root in the initial
// user namespace, one thread, and kernel 6.9.
//
// Soundness: the new user namespace is owned by root (it is unshared before the change of user), so other processes of
// the user cannot enter it or trace the command, and only the user's own ids are mapped, so a set-uid program gains
// nothing. The power in it is given up, bounding set included, before anything of the user's is executed.
kernel::NotExecuted launch(const LaunchRequest& request);

}  // namespace bpfwarden::token
