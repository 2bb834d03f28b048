// SPDX-License-Identifier: Apache-2.0
// Runs a program and stops at each system call that it and its descendants make, to let one fail, or to kill somebody
// there. strace can inject errors too, but counts calls for all processes alike; here a call has an address of its own.
#pragma once

#include <sys/types.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "stage.hpp"

namespace bpfwarden::test {

// One system call about to be made.
struct Call {
    std::string process;  // "0" is the program, "0.1" its first child, "0.1.1" that one's first
    long number = 0;
    unsigned occurrence = 0;  // of this number in this process, from 1
    std::string path;         // of openat, mkdirat, execve and the like
    pid_t pid = 0;
    unsigned long argument = 0;  // the first

    std::string name() const;      // "openat"
    std::string address() const;   // "0.1 openat #3": the same in each run
    std::string describe() const;  // the address and the path
};

struct Verdict {
    enum { proceed, fail, fail_after, kill } action = proceed;
    int error = 0;  // fail: the call is not made and has this error. fail_after: it is made, and then reported so.
    pid_t victim = 0;
};

struct Traced {
    Ended ended;
    bool command_started = false;  // the program became another by execve
    std::string stray;             // processes that were still there when it was given up
};

// Calls `decide` at each call until the program execs another; that one is let go, its descendants from before are not.
// Returns when no process is left.
Traced trace(const Words& argv, const std::function<Verdict(const Call&)>& decide);

// Whether this machine's registers are known here.
bool tracer_works();
// Null where stepping through all system calls of a run many times is worth its time.
inline const char* why_no_stepping() {
    if (!tracer_works()) return "system calls can be stopped at on x86-64 only";
    if (emulated() && ::getenv("BPFWARDEN_SOAK") == nullptr)
        return "stopping at every system call takes minutes in a guest (make soak does it)";
    return nullptr;
}
#define BW_NEED_A_TRACER() \
    if (const char* why = why_no_stepping()) GTEST_SKIP() << why

}  // namespace bpfwarden::test
