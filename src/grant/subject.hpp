// SPDX-License-Identifier: Apache-2.0
// Who may open a grant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grant/resolve.hpp"

namespace bpfwarden::grant {

// Who asks, with the facts that the grant's subject may be about. What is not known matches no condition.
struct Opener {
    std::uint32_t uid = 0;
    std::string user;
    std::vector<std::uint32_t> gids;
    std::vector<std::string> groups;
    std::string cgroup;      // "/system.slice/agent.service", in the version 2 hierarchy
    std::string exe;         // the real path of the program
    std::string exe_sha256;  // lower-case hexadecimal
};

// Nothing when the opener is admitted: root always is, others by any line whose conditions all hold. Else why not.
std::optional<Error> refuses_opener(const Resolved& grant, const Opener& opener);

// Whether any line has a condition on this key: some facts cost something to find out.
bool asks_for(const Resolved& grant, SubjectKey key);

}  // namespace bpfwarden::grant
