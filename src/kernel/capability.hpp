// SPDX-License-Identifier: Apache-2.0
// The capabilities that BPF is about, and how a process gives up all others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::kernel {

// Bit N set: capability number N.
using CapabilityMask = std::uint64_t;

// "net_admin" (or "CAP_NET_ADMIN", any case) -> its number.
std::optional<unsigned> capability_number(std::string_view name);
// 12 -> "net_admin".
std::string capability_name(unsigned number);

// The calling process's effective set.
Result<CapabilityMask> effective_capabilities();
// Leaves the calling thread with exactly `keep`, in every set, also across execve() by a user other than root (ambient
// set), and with a bounding set of `keep`, so that no file capability or set-uid program can bring more back. Needs
// CAP_SETPCAP (permitted is enough) unless the bounding set is that small already. A change from uid 0 to another
// clears the ambient set, so change the uid first, with prctl(PR_SET_KEEPCAPS, 1) before it, then call this.
Result<> keep_only(CapabilityMask keep);

}  // namespace bpfwarden::kernel
