// SPDX-License-Identifier: Apache-2.0
// Points in time as text: RFC 3339, in UTC, with nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace bpfwarden::audit {

// "2026-03-14T09:26:53.589793238Z"
std::string format_time(std::uint64_t ns_since_1970);
// RFC 3339 with any offset and zero to nine digits of a second's fraction.
Result<std::uint64_t> parse_time(std::string_view text);
// The same, or how long before `now_ns` it was: "10m", "1h30m".
Result<std::uint64_t> parse_time_or_age(std::string_view text, std::uint64_t now_ns);

}  // namespace bpfwarden::audit
