// SPDX-License-Identifier: Apache-2.0
// The tracing tools that run as they are under a grant of examples/grants, and what shows that they do.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "root/tools/tool.hpp"

namespace bpfwarden::test {

struct Tool {
    std::string grant;
    Words command;      // "MARK" and "SELF" in it are replaced
    std::string event;  // what it says of it; the same
    void (*cause)();
    std::string taken_out;  // of the grant; then nothing works
    std::string reason;
};
void PrintTo(const Tool& tool, std::ostream* out);

const std::vector<Tool>& tools();
// Its command line on this machine.
Words command_of(const Tool& tool);
inline bool maps_root(const Tool& tool) { return tool.command.front() == "bpftrace"; }
bool shows_its_event(Running& running, const Tool& tool, std::chrono::milliseconds within = patience());

}  // namespace bpfwarden::test
