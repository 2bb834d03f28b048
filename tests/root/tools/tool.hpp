// SPDX-License-Identifier: Apache-2.0
// Programs of others, as their packages have them, at a terminal: they say at once what they say.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "root/broker/daemon.hpp"

namespace bpfwarden::test {

// Whom the grants of examples/grants are for.
inline constexpr uid_t nobody = 65534;

// Where a program of Debian's is: installed, or unpacked for guests; empty: nowhere.
std::string find_tool(const std::string& name);

// A grant of examples/grants, as it stands there.
std::string example_grant(const std::string& name);
// The same without one entry of one of its lists.
std::string without(std::string grant, const std::string& entry);

// What was built with the tests: the helper of this name, or any file of the build.
std::string helper(const std::string& name);
std::string beside(const std::string& path);
// A copy in the daemon's directory, which others have a way to.
std::string for_others(const Daemon& daemon, const std::string& file);

// bpftrace compiles; in a guest that takes long.
std::chrono::seconds patience();

class Running {
  public:
    Running(uid_t uid, const Words& command);
    // `bpfwarden run` with these words behind it.
    static Running under_grant(const std::string& grant, const Words& command, bool map_root = false);
    ~Running();
    Running(Running&& other) noexcept;
    Running& operator=(Running&&) = delete;
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    // Whether it says something that has `pattern` in it, while `cause` is done again and again; false as well if it
    // ends before.
    bool says(const std::string& pattern, const std::function<void()>& cause = {},
              std::chrono::milliseconds within = patience());
    // Ctrl-C, again where it is not heard, until it has ended; its exit status, or 128 and the signal's number.
    int interrupt();
    // Until it ends by itself; -1: it does not.
    int wait();
    const std::string& said() const { return said_; }

  private:
    std::optional<int> ended();  // its status, once
    // What came within so many milliseconds; false: there will be no more.
    bool read(int milliseconds);

    pid_t pid_ = 0;
    int terminal_ = -1;
    std::string said_;
};

}  // namespace bpfwarden::test

// Not on this machine, or not in this guest.
#define BW_NEEDS_TOOL(name)                                                                                    \
    if (::bpfwarden::test::find_tool(name).empty())                                                            \
    GTEST_SKIP() << (::bpfwarden::test::emulated() ? "this guest has no " : "not installed on this machine: ") \
                 << (name) << (::bpfwarden::test::emulated() ? ": the Debian mirror did not give it" : " (make deps)")
