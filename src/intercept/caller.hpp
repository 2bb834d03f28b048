// SPDX-License-Identifier: Apache-2.0
// A thread of another process that waits in a system call: its memory, its file descriptors, its files.
#pragma once

#include <sys/types.h>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "wire/caller_memory.hpp"
#include "wire/message.hpp"

namespace bpfwarden::intercept {

// Soundness: a thread is named by its number, which another one may have when it has ended. What was read is used only
// after the listener has said that the call still waits; then the number was its thread's all the time. It takes the
// right to trace the process: its own user and no capability beyond those of the reader, or CAP_SYS_PTRACE.
class Caller : public wire::CallerMemory {
  public:
    explicit Caller(pid_t thread) : thread_(thread) {}

    // process_vm_readv(2) and process_vm_writev(2): the latter heeds what is read-only, unlike /proc/PID/mem.
    Result<> read(std::uint64_t address, std::span<std::byte> to) const override;
    Result<> write(std::uint64_t address, wire::Bytes from) const override;
    Result<std::string> text(std::uint64_t address, std::size_t most) const override;

    // The very file behind one of its fds (pidfd_getfd(2)). EBADF if it has none of that number.
    Result<UniqueFd> fd(int number);
    // Of a path as it would be opened there, for reading nothing (O_PATH).
    Result<UniqueFd> file(const std::string& path) const;
    // Whose it is, as /proc says: of a process that cannot be traced, root's.
    Result<wire::Sender> identity() const;
    // Whether it numbers processes as this process does.
    bool shares_pids() const;

  private:
    Result<> open_process();
    pid_t thread_;
    PidFd process_;
};

}  // namespace bpfwarden::intercept
