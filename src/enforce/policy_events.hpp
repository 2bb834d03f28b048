// SPDX-License-Identifier: Apache-2.0
// What the policy's programs told, from both rings into the audit log: each event once, each loss counted.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/log.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/event_numbers.hpp"
#include "enforce/policy_force.hpp"
#include "enforce/policy_record.hpp"
#include "enforce/policy_ring.hpp"
#include "kernel/cgroup.hpp"

namespace bpfwarden::enforce {

// One reader at a time: whoever holds the guard's lock.
class PolicyEvents {
  public:
    static Result<PolicyEvents> open(const std::string& pins = policy_pins(), std::string records = policy_records);
    PolicyEvents(PolicyEvents&&) noexcept;
    PolicyEvents& operator=(PolicyEvents&&) noexcept;
    ~PolicyEvents();

    enum Ring : unsigned { denials, others, rings };
    FdRef fd(Ring ring) const { return rings_[ring].fd(); }

    // Moves what is there, at most about a thousand of each ring, in the order of time. It is flushed to the log's
    // sinks before it is given back to the kernel. True: there may be more.
    bool drain(audit::Log& log);
    // Tells what is known to be lost, as "gap" events. Call it now and then: that nothing comes after a loss is no
    // event.
    void tell_losses(audit::Log& log);

  private:
    PolicyEvents(std::array<PolicyRing, rings> both, KeptNumbersMap kept);
    audit::Event event_of(std::span<const std::byte> record, SeenEvents& seen);
    const PolicyRecord& names_of(std::uint32_t generation);
    std::vector<std::uint64_t> taken(Ring ring) const;
    std::uint64_t lost(Ring ring) const;

    std::array<PolicyRing, rings> rings_;
    KeptNumbersMap kept_;
    MapFd numbers_, control_fd_;  // what is mapped has an fd, too: a seal counts who holds its maps by their fds
    std::shared_ptr<const bw_control> control_;
    std::string records_;
    std::map<std::uint32_t, PolicyRecord> names_;
    kernel::CgroupPaths cgroups_;
    std::array<std::chrono::steady_clock::time_point, rings> whole_;  // when nothing was missing, the last time
};

}  // namespace bpfwarden::enforce
