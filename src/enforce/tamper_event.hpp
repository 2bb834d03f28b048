// SPDX-License-Identifier: Apache-2.0
// A record of the guard's ring, and the audit event that it becomes. Pure: what has to be looked up is given.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "audit/event.hpp"
#include "base/result.hpp"
#include "shared/guard.h"

namespace bpfwarden::enforce {

struct ToldTamper {
    bw_tamper event{};
    std::array<std::string_view, BW_TAMPER_TEXTS> texts;  // by enum bw_tamper_text; in the record
};
// An error for all that is not exactly what the guard's programs write.
Result<ToldTamper> read_tamper(std::span<const std::byte> record);

// "unlink"; "" for a number that is none.
std::string_view act_name(std::uint32_t act);

// PLACE: where a superblock is mounted, "" for "/"; nothing if it is mounted nowhere.
using PlaceOf = std::function<std::optional<std::string>(std::uint32_t device)>;
audit::Event audit_event(const ToldTamper& told, const PlaceOf& place, std::string_view cgroup,
                         std::int64_t boot_to_real_ns);

}  // namespace bpfwarden::enforce
