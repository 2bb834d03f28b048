// SPDX-License-Identifier: Apache-2.0
// Opens perf events for one session. On Debian's kernels that takes CAP_SYS_ADMIN (perf_event_paranoid = 3), which no
// worker holds: so a process apart has it, decides each request by the session's own grants, and can do nothing else.
#pragma once

#include "base/fd.hpp"
#include "broker/parser.hpp"
#include "broker/rights.hpp"

namespace bpfwarden::broker {

// Whether any program of these grants attaches to a perf event.
bool needs_opener(const Rights& rights);

// The capabilities that the opener keeps on this kernel, for these grants: perfmon where that is enough, or sys_admin
// as well.
Result<kernel::CapabilityMask> opener_capabilities(const Rights& rights);

// What of /sys the opener reads, opened before it gives up its root.
struct EventFiles {
    UniqueFd tracefs;       // its events/
    UniqueFd event_source;  // /sys/bus/event_source/devices
    static EventFiles open();
};

// Serves `worker` until it hangs up. The exit status. `by_name`: a place in a file is called by the function that
// begins there also where nobody asks for it, as a grant that is learned from it should.
int run_opener(FdRef worker, const Rights& rights, EventFiles files, Parser parser, bool by_name);

}  // namespace bpfwarden::broker
