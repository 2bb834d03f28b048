// SPDX-License-Identifier: Apache-2.0
// Runs a program and stops it at each system call that changes something that outlives it: a bpf() that makes, writes,
// attaches or pins, and what makes, writes, renames or removes files. There it can be killed, or told that it failed.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bpfwarden::test {

// "bpf MAP_UPDATE_ELEM images", "unlink": what is about to be done.
using Step = std::string;
inline const Step said_step = "say something";  // a write to standard output or standard error

struct Stepped {
    std::vector<Step> steps;  // that were come to
    int status = -1;          // its exit status, or 128 + the signal that ended it
    std::string output;
};

enum class AtStep { proceed, kill, fail };  // fail: the call is not made, and says that there is no memory
// `decide` is asked with each step's number, from 0.
Stepped run_in_steps(const std::vector<std::string>& words,
                     const std::function<AtStep(std::size_t, const Step&)>& decide);

}  // namespace bpfwarden::test
