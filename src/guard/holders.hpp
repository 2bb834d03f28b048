// SPDX-License-Identifier: Apache-2.0
// Who has an fd of a map. What a process had opened before the seal it would have for as long as it lives, so there
// must be none that nobody knows of.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::guard {

// By id of the map: how many fds the process has of it.
std::map<std::uint32_t, std::uint32_t> map_fds_of(pid_t pid);
// By id of the map: how many pins there are in that directory.
Result<std::map<std::uint32_t, std::uint32_t>> map_pins_in(const std::string& directory);
// Of all processes that /proc shows but these: by id of the map, who has an fd of it.
std::map<std::uint32_t, std::vector<pid_t>> map_holders_but(const std::vector<pid_t>& known);

}  // namespace bpfwarden::guard
