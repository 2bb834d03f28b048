// SPDX-License-Identifier: Apache-2.0
#include "client/held_fd.hpp"

#include <sys/stat.h>

#include <utility>

namespace bpfwarden::client {

HeldFd::HeldFd(int fd, bool owned) : fd_(fd), owned_(owned) {
    struct stat info{};
    if (fd >= 0 && ::fstat(fd, &info) == 0) {
        device_ = info.st_dev;
        inode_ = info.st_ino;
    }
}

HeldFd::HeldFd(HeldFd&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), owned_(other.owned_), device_(other.device_), inode_(other.inode_) {}

HeldFd& HeldFd::operator=(HeldFd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = std::exchange(other.fd_, -1);
        owned_ = other.owned_;
        device_ = other.device_;
        inode_ = other.inode_;
    }
    return *this;
}

bool HeldFd::holds() const {
    struct stat info{};
    return fd_ >= 0 && ::fstat(fd_, &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

void HeldFd::reset() {
    if (fd_ >= 0 && owned_ && holds()) ::close(fd_);
    fd_ = -1;
}

}  // namespace bpfwarden::client
