// SPDX-License-Identifier: Apache-2.0
// A command of the tests (acts) under `bpfwarden run --via intercept`, started by a plain user.
#pragma once

#include <string>

#include "../broker/daemon.hpp"
#include "../run/spawn.hpp"

namespace bpfwarden::test {

// The command line, to be run by spawn.hpp: `bpfwarden run --grant GRANT --via intercept [options…] -- acts ACT ARG…`.
Start supervised(const Daemon& daemon, const std::string& grant, const Words& act, const Words& options = {});
// The same as root, or as any user and after anything else that `in_child` does.
Start supervised_as(uid_t uid, const Daemon& daemon, const std::string& grant, const Words& act,
                    const Words& options = {});
// Any command in the place of acts.
Start supervised_command(uid_t uid, const std::string& grant, const Words& command, const Words& options = {});
// The path of acts, for a command of the test's own making.
std::string acts_path(const Daemon& daemon);

// What the act says. If it does not come to its end: everything that is known about it.
std::string act(const Daemon& daemon, const std::string& grant, const Words& act);
// As root, without a session: what the kernel does.
Start start_of_root(const Daemon& daemon, const Words& act);
std::string act_of_root(const Daemon& daemon, const Words& act);
// As the test's user, without a session.
std::string act_of_user(const Daemon& daemon, const Words& act);

// A map and a program that are somebody else's: root's.
class OfOthers {
  public:
    OfOthers();
    ~OfOthers();
    OfOthers(const OfOthers&) = delete;
    std::uint32_t map() const;
    std::uint32_t program() const;

  private:
    int map_, program_;
};

// Tracepoint programs at getppid(), which nobody calls by accident in a test's own process.
inline const std::string tracing_rights =
    "dangerous = ['kernel_read']\n" +
    allow("program_types = ['tracepoint', 'raw_tracepoint', 'socket_filter']\nmap_types = ['array', 'prog_array']\n" +
          std::string(
              "helpers = ['map_lookup_elem', 'tail_call']\nverifier = ['any']\ncapabilities = ['bpf', 'perfmon']\n") +
          "[targets]\ntracepoints = ['syscalls/sys_enter_getppid']\n");
// Socket filters and arrays.
inline const std::string filter_rights = allow(
    "program_types = ['socket_filter']\nmap_types = ['array']\nhelpers = ['map_lookup_elem']\nverifier = "
    "['any']\ncapabilities = ['bpf']\n");

}  // namespace bpfwarden::test
