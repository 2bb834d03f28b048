// SPDX-License-Identifier: Apache-2.0
// A reader of a BPF ring buffer that gives records back only when it is told to: what a reader that is killed had not
// yet written elsewhere is there for the next one. (libbpf's own gives each back as soon as it was looked at.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::enforce {

class PolicyRing {
  public:
    static Result<PolicyRing> open(MapFd fd);
    PolicyRing(PolicyRing&& other) noexcept;
    PolicyRing& operator=(PolicyRing&& other) noexcept;
    ~PolicyRing();

    // Readable when there is something.
    FdRef fd() const { return fd_; }
    // The next complete record, valid until release(). Empty: no more for now.
    std::optional<std::span<const std::byte>> next();
    // Where the next one will be.
    std::uint64_t position() const { return position_; }
    // Gives back all that next() returned.
    void release();
    // Gives back what is before that position: what a reader that ended there had read.
    void skip_to(std::uint64_t position);

  private:
    PolicyRing() = default;
    MapFd fd_;
    std::uint64_t* consumer_ = nullptr;
    const std::byte* producer_ = nullptr;  // a page, then the data twice
    std::uint64_t size_ = 0;
    std::uint64_t position_ = 0;
};

}  // namespace bpfwarden::enforce
