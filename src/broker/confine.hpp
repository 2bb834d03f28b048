// SPDX-License-Identifier: Apache-2.0
// How the processes that read clients' bytes give up everything that they have no use for.
#pragma once

#include "broker/opener.hpp"
#include "kernel/capability.hpp"

namespace bpfwarden::broker {

// The last step before the first client's byte is read. Afterwards: these capabilities in every set, no way to more,
// not dumpable, and the system calls of a worker only.
Result<> confine_worker(kernel::CapabilityMask capabilities);
// The same for a perf event opener; it also closes every fd but those it needs.
Result<> confine_opener(kernel::CapabilityMask capabilities, FdRef worker, const EventFiles& files);
// For the daemon's own process: no capability at all.
Result<> confine_daemon();

}  // namespace bpfwarden::broker
