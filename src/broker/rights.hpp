// SPDX-License-Identifier: Apache-2.0
// What one session may do: the grant it was opened with, and each smaller grant that was derived from it since.
#pragma once

#include <optional>
#include <vector>

#include "grant/check.hpp"
#include "kernel/capability.hpp"

namespace bpfwarden::broker {

class Rights {
  public:
    explicit Rights(std::vector<grant::Resolved> grants) : grants_(std::move(grants)) {}

    // Soundness: an operation must be allowed by every grant from the first to the last, so a derived session is never
    // wider than what it was derived from, whatever its own grant says.
    grant::Verdict check(const grant::Operation& operation) const;

    // What the worker holds: the capabilities that all of them have.
    kernel::CapabilityMask capabilities() const;
    // Real programs are given only where every grant says so.
    bool gives_programs() const;
    // Whether it may make what would go on after a revocation; if not, the grant that says so (or does not).
    const grant::Resolved* forbids_not_revocable() const;
    bool keeps_links() const;
    // The shortest, from each session's opening; nothing: for ever.
    std::optional<std::uint64_t> lifetime_ms() const;
    // Whether any operation would need program identity: digests cost.
    bool judges_digests() const;

    // Where the first grant that asks for them does; null: none.
    const Position* asks_for_signers() const;

    const std::vector<grant::Resolved>& grants() const { return grants_; }
    const grant::Resolved& last() const { return grants_.back(); }

  private:
    std::vector<grant::Resolved> grants_;
};

}  // namespace bpfwarden::broker
