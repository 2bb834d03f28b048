// SPDX-License-Identifier: Apache-2.0
// One perf_event_open(2) call as the body of a message.
#pragma once

#include <linux/perf_event.h>

#include <cstdint>
#include <string>
#include <vector>

#include "wire/caller_memory.hpp"

namespace bpfwarden::wire {

// The kernel numbers these two kinds at boot (/sys/bus/event_source/devices/KIND/type); 0: there is no such kind.
struct EventTypes {
    std::uint32_t kprobe = 0, uprobe = 0;
};

struct PerfEventCall {
    std::vector<std::byte> attr;  // config1 is zero where it was an address
    std::string name;             // of a kprobe the function, of a uprobe the path
    bool is_uprobe = false;       // the opened file comes along
    std::int32_t pid = 0, cpu = -1;
    std::uint64_t flags = 0;
    bool with_group = false;  // the leader's fd comes along, behind the file

    // What the attributes at `attr` say; pid, cpu, flags and group are the caller's to add. E2BIG as the kernel has it.
    static Result<PerfEventCall> of(std::uint64_t attr, const EventTypes& types, const CallerMemory& memory);
    void write(Writer& to) const;
};

}  // namespace bpfwarden::wire
