// SPDX-License-Identifier: Apache-2.0
// Ways to take away what is sealed, and whether they are closed: by the programs that were just seen, not by those that
// there should be.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bpfwarden::guard {

struct Way {
    std::string what;
    bool closed = false;
    std::string why_not;  // where it is not: what makes up for it, or closes it
};
// `core`: how many of the guard's programs are at the root of cgroup2; `rest`: names of those that are pinned.
std::vector<Way> ways(std::size_t core, const std::vector<std::string>& rest);

}  // namespace bpfwarden::guard
