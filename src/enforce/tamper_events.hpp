// SPDX-License-Identifier: Apache-2.0
// What was tried against the seal, from the guard's ring into the audit log.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "audit/log.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/policy_ring.hpp"
#include "kernel/cgroup.hpp"

namespace bpfwarden::enforce {

// One reader at a time, which the guard must know as its own.
class TamperEvents {
  public:
    static Result<TamperEvents> open();
    FdRef fd() const { return ring_.fd(); }
    // Moves what is there.
    void drain(audit::Log& log);

  private:
    explicit TamperEvents(PolicyRing ring) : ring_(std::move(ring)) {}
    PolicyRing ring_;
    std::uint64_t last_ = 0;  // the highest number read
    kernel::CgroupPaths cgroups_;
};

}  // namespace bpfwarden::enforce
