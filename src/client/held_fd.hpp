// SPDX-License-Identifier: Apache-2.0
// An fd of the library's in a process that is not the library's: a program may close what it did not open (daemons
// close all there is), and the number then names something else.
#pragma once

#include <sys/types.h>

#include "base/fd.hpp"

namespace bpfwarden::client {

class HeldFd {
  public:
    HeldFd() = default;
    // Without `owned` the number stays open when this is gone.
    explicit HeldFd(int fd, bool owned = true);
    HeldFd(HeldFd&& other) noexcept;
    HeldFd& operator=(HeldFd&& other) noexcept;
    ~HeldFd() { reset(); }

    int get() const { return fd_; }
    // The number still names what it named at first.
    bool holds() const;

  private:
    // Closes it if it is still ours to close.
    void reset();
    int fd_ = -1;
    bool owned_ = true;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace bpfwarden::client
