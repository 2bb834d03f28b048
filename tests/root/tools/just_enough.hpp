// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant learn` on a program that does something: what it writes lets the program do it, and nothing of what
// it writes can be left out.
#pragma once

#include <functional>
#include <string>

#include "root/tools/tool.hpp"

namespace bpfwarden::test {

struct Doing {
    std::string name;  // of the grant
    // By root to learn, by nobody to do it; the words of bpfwarden come first.
    std::function<Running(uid_t who, const Words& first)> start;
    bool map_root = false;
    // Whether it does what it is for within that time; it has ended then.
    std::function<bool(Running&, std::chrono::milliseconds within)> does_it;
};

// A start() of what needs nothing around it.
std::function<Running(uid_t, const Words&)> of_command(const Words& command);

void expect_just_enough(Daemon& daemon, const Doing& doing);

}  // namespace bpfwarden::test
