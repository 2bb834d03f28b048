// SPDX-License-Identifier: Apache-2.0
// What the guard says of itself, and who takes turns at changing it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/guard_object.hpp"
#include "enforce/policy_force.hpp"

namespace bpfwarden::guard {

// Nothing where there is no seal.
std::optional<enforce::ShownSeal> read_seal();

// Others could not even see that something is sealed.
Result<> require_root();
// An error with Code::not_found if nothing is sealed.
Result<> require_sealed();
// Whether the guard is in force and its bpffs is gone, with all that was pinned there (docs/guard.md names the race):
// from there on it cannot be asked, and its updater can do nothing but end it.
Result<bool> has_lost_its_pins();
Failure lost_its_pins();
// One at a time: held for as long as the fd is open.
Result<UniqueFd> lock_seals();

// The policy that is pinned there, with its lock. Nothing where there is none.
Result<std::optional<enforce::PolicyForce>> policy_in(const std::string& pins);

// bpfwarden-guard, if it runs: its pid, and its start in the units that /proc has.
struct Guardian {
    pid_t pid;
    std::uint64_t start;
};
std::optional<Guardian> running_guardian();

}  // namespace bpfwarden::guard
