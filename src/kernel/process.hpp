// SPDX-License-Identifier: Apache-2.0
// Child processes held by pidfd, and the channel to talk to them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// pidfd_open(2). For a process that is not our child, the caller must check afterwards that it is the one meant.
Result<PidFd> open_process(pid_t pid);
// True while the process has not ended (a zombie has).
bool is_alive(PidRef process);

// A process forked by this one. Killed and reaped when dropped, so that no failure leaves it behind.
class Child {
  public:
    // Forks; `body` runs in the child, which then exits with its return value without running destructors or atexit
    // handlers. The child is sent SIGKILL when the forking thread dies; call die_with_parent() again after a change
    // of credentials (also setns), which clears that.
    static Result<Child> fork(const std::function<int()>& body);

    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)), fd_(std::move(other.fd_)) {}
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    PidRef fd() const { return fd_; }
    // The exit status as a shell has it: 0…255, or 128 + signal.
    Result<int> wait();

  private:
    Child(pid_t pid, PidFd fd) : pid_(pid), fd_(std::move(fd)) {}
    pid_t pid_;
    PidFd fd_;
};

// Arranges for SIGKILL when the parent dies, and checks that it has not died already.
Result<> die_with_parent(pid_t parent);

// One end of a private pair: whole messages, at most one fd with each.
class Channel {
  public:
    static Result<std::pair<Channel, Channel>> pair();

    struct Message {
        std::string text;
        UniqueFd fd;
    };
    Result<> send(std::string_view text, std::optional<FdRef> fd = {}) const;
    // Makes the other end's receive() fail with this error.
    Result<> send_error(const Error& error) const;
    // An error when the other end sent one, has gone, or sent something other than one message of at most 4 KiB with at
    // most one fd.
    Result<Message> receive() const;
    FdRef fd() const { return fd_; }
    void close() { fd_.reset(); }

  private:
    explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
    Result<> send_bytes(std::string bytes, std::optional<FdRef> fd) const;
    UniqueFd fd_;
};

}  // namespace bpfwarden::kernel
