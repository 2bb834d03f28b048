// SPDX-License-Identifier: Apache-2.0
// How the processes that read clients' bytes give up everything that they have no use for.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "kernel/capability.hpp"

namespace bpfwarden::broker {

// The last step before the first client's byte is read. Afterwards: these capabilities in every set, no way to more,
// not dumpable, and the system calls of a worker only.
Result<> confine_worker(kernel::CapabilityMask capabilities);
// The same for a perf event opener, which also closes every fd but `kept`.
Result<> confine_opener(kernel::CapabilityMask capabilities, std::vector<int> kept);
// For the reader of hostile formats: no capability, no fd but `kept`, and memory of a bounded size.
Result<> confine_parser(std::vector<int> kept);
// For the daemon's own process: no capability at all.
Result<> confine_daemon();

}  // namespace bpfwarden::broker
