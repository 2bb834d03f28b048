// SPDX-License-Identifier: Apache-2.0
// A command that leaves a mark when it starts, and what is expected of a run that refuses it.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <string>

#include "stage.hpp"

namespace bpfwarden::test {

inline constexpr const char* started = "/tmp/the-command-started";

inline bool command_ran() { return ::unlink(started) == 0; }

inline Ended attempt(const std::string& grant, const Words& options = {}) {
    return run(under(grant, {Stage::witness, "touch", started}, options));
}

inline auto lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

// Refused before anything happened, with `expected` in the message.
inline void expect_refused(const Ended& ended, const std::string& expected, int lines = 2) {
    EXPECT_TRUE(ended.exited(125)) << ended.text();
    EXPECT_EQ(ended.out, "");
    EXPECT_TRUE(ended.err.starts_with("bpfwarden")) << ended.text();
    EXPECT_NE(ended.err.find(expected), std::string::npos) << "no word of " << expected << " in\n" << ended.err;
    EXPECT_GE(lines_of(ended.err), lines) << "it says what failed, but not why or what to do:\n" << ended.err;
    EXPECT_FALSE(command_ran()) << "the command was started all the same";
}

inline void expect_accepted(const Ended& ended) {
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    EXPECT_TRUE(command_ran()) << "control: the command starts";
}

}  // namespace bpfwarden::test
