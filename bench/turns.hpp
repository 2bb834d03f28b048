// SPDX-License-Identifier: Apache-2.0
// For sides that take turns on one CPU.
#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <cstdint>
#include <ctime>

#include "base/result.hpp"

namespace bpfwarden::bench {

inline std::int64_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

// All on one CPU, the last that is allowed: the first has the most interrupts.
inline Result<> pin() {
    cpu_set_t allowed, one;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return fail_errno("sched_getaffinity");
    int last = CPU_SETSIZE - 1;
    while (last > 0 && !CPU_ISSET(static_cast<std::size_t>(last), &allowed)) --last;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(last), &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0) return fail_errno("sched_setaffinity");
    return {};
}

// Keeps other programs of the machine out of the batches; they have the CPU in between. Only for less noise.
inline void before_others() {
    const sched_param first{.sched_priority = 1};
    if (::sched_setscheduler(0, SCHED_FIFO, &first) != 0) (void)::setpriority(PRIO_PROCESS, 0, -10);
}

}  // namespace bpfwarden::bench
