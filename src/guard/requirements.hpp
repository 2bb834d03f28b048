// SPDX-License-Identifier: Apache-2.0
// What a seal would be worth nothing with.
#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/guard_object.hpp"

namespace bpfwarden::guard {

// Each is an error that says what is in the way, and how it is ended.
Result<> require_first_namespaces();
// Attached to the root of cgroup2.
Result<> refuse_programs_of_others(FdRef cgroup);
// While the guard's programs look at what is opened, and before they refuse anything.
Result<> refuse_hostile_programs();
// Of these things, but this process, the guard's, and what is pinned in these directories.
Result<> require_no_other_holders(const enforce::GuardObject& object, const std::set<enforce::BpfThing>& things,
                                  const std::vector<std::string>& pinned_in, std::optional<pid_t> guardian);

}  // namespace bpfwarden::guard
