// SPDX-License-Identifier: Apache-2.0
// The fd at which a seccomp filter's questions are answered (SECCOMP_RET_USER_NOTIF; Linux 5.0, fds 5.9, fd and answer
// in one step 5.14).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// A system call that waits.
struct WaitingCall {
    std::uint64_t id = 0;
    pid_t thread = 0;  // as seen from here; 0: it cannot be
    int number = 0;
    std::uint32_t architecture = 0;
    std::array<std::uint64_t, 6> arguments{};
};

bool is_listener(FdRef fd);

// The next one; nothing if it was gone before it could be received. Blocks where none waits: poll(2) says when one
// does.
Result<std::optional<WaitingCall>> receive_call(FdRef listener);
// Whether it still waits. What was read out of its process before a yes was that process's.
bool still_waits(FdRef listener, std::uint64_t id);

// Answers, after which the call is over. An Error with ENOENT: its process has ended meanwhile.
//
// Soundness: go_on() lets the kernel do the call with the caller's own rights, reading its memory anew: never for what
// is to be allowed beyond those.
Result<> answer(FdRef listener, std::uint64_t id, std::int64_t value);  // or -errno
Result<> go_on(FdRef listener, std::uint64_t id);
// `fd` becomes one of the caller's, and its number the call's value.
Result<> answer_with(FdRef listener, std::uint64_t id, FdRef fd, bool close_on_exec);
// `fd` takes the place of the caller's fd of that number; the call still waits.
Result<> replace_fd(FdRef listener, std::uint64_t id, FdRef fd, int number, bool close_on_exec);

}  // namespace bpfwarden::kernel
