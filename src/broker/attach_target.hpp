// SPDX-License-Identifier: Apache-2.0
// What a program would be attached to, found out from the very fd or number that the kernel will be given.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::broker {

// Where the cgroup2 hierarchy is mounted, for turning fds into paths. Made once, in the host's mount namespace.
struct CgroupRoot {
    std::string mount;  // "/sys/fs/cgroup"
    dev_t device = 0;
    static Result<CgroupRoot> find();
};

struct Cgroup {
    std::string path;  // "/system.slice/agent.service", from the root of the hierarchy
    std::uint64_t inode = 0;
};
// The cgroup that an fd is a directory of; errno EBADF if it is none.
//
// Soundness: the path is what the kernel says of the fd, and it is looked up again and must lead to the same inode, so
// a mount of part of the hierarchy somewhere else cannot pass for another cgroup. A cgroup2 directory cannot be
// renamed, and its inode number has 64 bits that are never given again (kernfs), so a path that was found once holds.
class Cgroups {
  public:
    Result<Cgroup> of(FdRef fd, const CgroupRoot& root);

  private:
    std::map<ino_t, std::string> known_;
};

// "eth0" for its index in this process's network namespace.
Result<std::string> interface_name(std::uint32_t index);

// The kernel's number of a perf event: never used again. errno EBADF if the fd is none.
Result<std::uint64_t> perf_event_id(FdRef fd);

}  // namespace bpfwarden::broker
