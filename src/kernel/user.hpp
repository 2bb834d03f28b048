// SPDX-License-Identifier: Apache-2.0
// Users as the machine's user database has them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::kernel {

struct User {
    std::string name;  // empty for a number that nobody has
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;             // all, `gid` among them
    std::vector<std::string> group_names;  // of those that have a name
};

// "alice", "1000", "1000:1000", "alice:users". A number needs no entry in the database: then its group is the same
// number.
Result<User> find_user(const std::string& text);

// The effective ids of a process, as the initial namespace numbers them. (The owner of /proc/PID would be root for a
// process that is not dumpable.)
struct Ids {
    uid_t uid = 0;
    gid_t gid = 0;
};
Result<Ids> owner_of_process(pid_t pid);

}  // namespace bpfwarden::kernel
