// SPDX-License-Identifier: Apache-2.0
// Somebody who has a session and uses it as long as a test wants: a program that counts, maps, a derived session.
#pragma once

#include <string>

#include "daemon.hpp"

namespace bpfwarden::test {

// The grant that it is about, "tracing": four maps and eight programs at most.
inline const std::string tracing_grant =
    "dangerous = ['kernel_read']\n" +
    allow(
        "program_types = ['tracepoint']\nmap_types = ['array']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n"
        "capabilities = ['bpf', 'perfmon']\n[targets]\ntracepoints = ['syscalls/sys_enter_getppid']\n"
        "[limits]\nmaps = 4\nprograms = 8\n");
inline const char* const arrays = "format = 1\n[allow]\nmap_types = ['array']\ncapabilities = ['bpf']\n";

// For an Actor: opens the grant, says "open", and then does as it is told, one word at a time:
//   count          attaches a program to what one of its threads does for ever
//   seen, stopped  "all": every call of the thread was counted; "stopped": none is any more
//   map, program   one more map, which it keeps; one more program, which it closes
//   derive, child map, child program
void obey(Actor& actor);
std::string ask(Actor& actor, const std::string& word);

bool is_gone(pid_t pid);

}  // namespace bpfwarden::test
