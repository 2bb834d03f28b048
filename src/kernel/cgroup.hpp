// SPDX-License-Identifier: Apache-2.0
// Control groups of the version 2 hierarchy: their paths in texts, and by their numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace bpfwarden::kernel {

// "0::/a/b" -> "/a/b" from the text of /proc/PID/cgroup.
std::string cgroup_in(std::string_view text);
// The container's id in a cgroup path, as container engines write it: 64 hexadecimal digits.
std::string container_in(std::string_view cgroup);

// Paths by the number that bpf_get_current_cgroup_id() gives. Needs CAP_DAC_READ_SEARCH.
class CgroupPaths {
  public:
    // The path from the hierarchy's root as it is seen in this mount namespace. Empty: gone, or not to be seen from
    // here. A path that was found is kept: the number is never another's, and groups are hardly ever renamed.
    std::string of(std::uint64_t id);

  private:
    bool find_mount();
    UniqueFd mount_;
    std::string mounted_on_;
    std::map<std::uint64_t, std::string> known_;
};

}  // namespace bpfwarden::kernel
