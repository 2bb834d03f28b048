// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a socket, by the kernel's word.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "broker/spawner.hpp"
#include "grant/subject.hpp"

namespace bpfwarden::broker {

struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    PidFd process;
    std::string cgroup;     // in the version 2 hierarchy; empty: not known
    std::string exe;        // empty: not known
    std::string container;  // the id that its cgroup names, if one does
    UniqueFd executable;    // O_PATH
};

// Of whoever called connect(). Never by a bare pid: SO_PEERPIDFD (6.5) gives the process itself. Before that a pidfd is
// opened by the number, and taken only if the process's start time is the same before and after, and is not later than
// the connection's.
Result<Peer> peer_of(FdRef socket, Spawner& spawner);

// The facts that the grant's subject asks for. Digests of executables are kept by device, inode, ctime and size.
grant::Opener opener_of(const Peer& peer, const grant::Resolved& grant);

}  // namespace bpfwarden::broker
