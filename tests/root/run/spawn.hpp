// SPDX-License-Identifier: Apache-2.0
// Runs a program from outside and tells how it ended.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../eventually.hpp"

namespace bpfwarden::test {

using Words = std::vector<std::string>;

struct Ended {
    int status = -1;  // as waitpid() has it
    std::string out;
    std::string err;
    bool late = false;  // it was killed for taking too long

    bool exited(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
    bool died_of(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
    std::string text() const;  // all of it, for a failed test
};

struct Start {
    Words argv;
    std::optional<Words> environment;  // NAME=VALUE; default: the test's
    std::function<void()> in_child;    // just before the exec, with the pipes in place
};

// A program with pipes on its three standard streams. Killed and reaped when dropped.
class Running {
  public:
    explicit Running(const Start& start);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    pid_t pid() const { return pid_; }
    void write(const std::string& text);
    void close_input();
    // Reads its standard output up to and with the next newline; empty when that does not come within 20 s.
    std::string read_line();
    // Its end, and what it wrote that was not read yet. Gives it `input` and closes its standard input.
    Ended wait(const std::string& input = "");

  private:
    pid_t pid_ = -1;
    int input_ = -1, output_ = -1, errors_ = -1;
    std::string pending_;
};

Ended run(const Start& start, const std::string& input = "");
inline Ended run(const Words& argv) { return run(Start{.argv = argv}); }

// What a test limits itself to.
using Clock = std::chrono::steady_clock;

}  // namespace bpfwarden::test
