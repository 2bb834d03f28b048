// SPDX-License-Identifier: Apache-2.0
// File descriptors with an owner. UniqueFd owns, FdRef borrows; Fd<Kind> is a UniqueFd that cannot be swapped
// for one of another kind. Every fd is CLOEXEC from the call that made it.
#pragma once

#include <unistd.h>

#include <utility>

namespace bpfwarden {

class FdRef;

class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept {
        // close() frees the number even when it reports an error, so there is nothing to retry.
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

  private:
    int fd_ = -1;
};

// A borrowed descriptor: valid while its owner lives.
class FdRef {
  public:
    explicit constexpr FdRef(int fd) noexcept : fd_(fd) {}
    FdRef(const UniqueFd& fd) noexcept : fd_(fd.get()) {}  // implicit: borrowing is the normal use
    constexpr int get() const noexcept { return fd_; }

  private:
    int fd_;
};

template <class Kind>
class Fd : public UniqueFd {
  public:
    using UniqueFd::UniqueFd;
};

// A borrowed descriptor of one kind.
template <class Kind>
class Ref : public FdRef {
  public:
    explicit constexpr Ref(int fd) noexcept : FdRef(fd) {}
    Ref(const Fd<Kind>& fd) noexcept : FdRef(fd.get()) {}
};

using PidFd = Fd<struct PidKind>;
using MapFd = Fd<struct MapKind>;
using ProgFd = Fd<struct ProgKind>;
using LinkFd = Fd<struct LinkKind>;
using BtfFd = Fd<struct BtfKind>;
using TokenFd = Fd<struct TokenKind>;
using MountFd = Fd<struct MountKind>;          // a mount, attached or not, from fsmount() or open_tree()
using FsContextFd = Fd<struct FsContextKind>;  // a file system being configured, from fsopen()

using PidRef = Ref<struct PidKind>;
using TokenRef = Ref<struct TokenKind>;
using MountRef = Ref<struct MountKind>;
using FsContextRef = Ref<struct FsContextKind>;

}  // namespace bpfwarden
