// SPDX-License-Identifier: Apache-2.0
// What a supervised command finds at /sys/kernel/tracing, which is for root: the id and format of each tracepoint that
// it may open, and their list.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::intercept {

struct EventFile {
    std::string path;  // "events/sched/sched_switch/id"
    std::string content;
};

// Mounts them, for reading only, over /sys/kernel/tracing and /sys/kernel/debug/tracing of this mount namespace, which
// must be the command's own. The rest of debugfs is covered with it.
Result<> mount_event_files(const std::vector<EventFile>& files);

}  // namespace bpfwarden::intercept
