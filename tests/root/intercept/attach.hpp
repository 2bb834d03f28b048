// SPDX-License-Identifier: Apache-2.0
// For acts: a program that counts the calls of getppid() that this process makes on the first processor.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::test {

// -1 if there is none at `top`.
int tracepoint_id(const std::string& name, const std::string& top = "/sys/kernel/tracing");
// On the first processor, and not enabled by anybody yet.
int open_tracepoint(int id);
void stay_on_first_processor();
// How many of ten calls are counted now.
std::uint64_t calls_seen(int map);

struct Counter {
    Counter();
    bool is_ready() const;
    std::string words() const;  // of what there is
    int map, program, event = -1;
};

}  // namespace bpfwarden::test
