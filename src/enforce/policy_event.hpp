// SPDX-License-Identifier: Apache-2.0
// A record of the policy's rings, and the audit event that it becomes. Pure: what has to be looked up is given.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "audit/event.hpp"
#include "base/result.hpp"
#include "enforce/policy_record.hpp"
#include "shared/policy_event.h"

namespace bpfwarden::enforce {

struct ToldEvent {
    bw_event event{};
    std::array<std::string_view, BW_EVENT_TEXTS> texts;  // by enum bw_text; in the record
};
// An error for all that is not exactly what the policy's programs write.
Result<ToldEvent> read_told(std::span<const std::byte> record);

// "file_open"; "" for a number that is none.
std::string_view hook_name(std::uint16_t hook);
// "denied", "would_deny", "allowed", "entered"
std::string_view verdict_name(std::uint8_t told);

// With the names that docs/audit.md has. CGROUP: the path, if it was found. The times of events are since boot.
audit::Event audit_event(const ToldEvent& told, const PolicyRecord& names, std::string_view cgroup,
                         std::int64_t boot_to_real_ns);

}  // namespace bpfwarden::enforce
