// SPDX-License-Identifier: Apache-2.0
// What a filter returns: an action in the upper half, data in the lower (seccomp(2)).
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bpfwarden::filter {

inline constexpr std::uint32_t action_mask = 0xffff0000;
inline constexpr std::uint32_t allow = SECCOMP_RET_ALLOW;

constexpr std::uint32_t error_of(unsigned number) { return SECCOMP_RET_ERRNO | (number & 0xffff); }

// One of the actions that the kernel has, whatever the data.
bool is_action(std::uint32_t value);
// As the kernel takes it: data that it ignores is zero (ALLOW, LOG, KILL_*, USER_NOTIF; TRAP and TRACE keep theirs), an
// errno above 4095 is 4095.
std::uint32_t normalized(std::uint32_t value);
// The one that counts where several filters are stacked: smaller wins, as the kernel compares them (signed).
bool outranks(std::uint32_t one, std::uint32_t other);

// "ALLOW", "ERRNO(EPERM)", "ERRNO(133)", "TRACE(7)", "KILL_PROCESS", "0x12340000" for what is no action.
std::string text(std::uint32_t value);
// What text() writes, in either case; also "errno 38", "SCMP_ACT_ERRNO", "kill".
std::optional<std::uint32_t> parse_action(std::string_view text);
// A name ("EPERM") or a number of at most 16 bits.
std::optional<std::uint32_t> parse_errno(std::string_view text);

}  // namespace bpfwarden::filter
