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

}  // namespace bpfwarden::kernel
