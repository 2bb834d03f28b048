// SPDX-License-Identifier: Apache-2.0
// Starts a command whose calls of bpf(2) and its kin are put to a session.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "intercept/event_files.hpp"
#include "intercept/filter.hpp"
#include "kernel/command.hpp"

namespace bpfwarden::intercept {

struct LaunchRequest {
    std::optional<kernel::UserIds> become;  // by root only; nothing: who calls
    bool map_root = false;                  // uid 0 of a user namespace that has this one user
    std::vector<EventFile> events;          // none: the command's mounts are the caller's
    Caught caught;
    // Gives the filter's listener to whoever answers.
    std::function<Result<>(FdRef)> supervise;
    std::vector<int> keep_fds;
    std::vector<std::string> command;
};

struct Ended {
    int status = 0;              // as a shell has it: 128 + signal
    std::optional<Error> error;  // why the command was not started
};

// Runs the command in a child, passes on the signals that come in, and waits for its end. The child dies with the
// caller.
//
// Its mount namespace is its own where there are event files. Who is not root gets it together with a user namespace,
// in which the one user and the one group have their own numbers (or, with map_root, 0): there is no other way to one
// without privilege, and the calls are answered by a process outside in any case.
Result<Ended> launch(const LaunchRequest& request);

}  // namespace bpfwarden::intercept
