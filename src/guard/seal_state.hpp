// SPDX-License-Identifier: Apache-2.0
// What the guard says of itself, and who takes turns at changing it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/guard_object.hpp"

namespace bpfwarden::guard {

// Nothing where there is no seal.
std::optional<enforce::ShownSeal> read_seal();

// Others could not even see that something is sealed.
Result<> require_root();
// An error with Code::not_found if nothing is sealed.
Result<> require_sealed();
// One at a time: held for as long as the fd is open.
Result<UniqueFd> lock_seals();

// bpfwarden-guard, if it runs: its pid, and its start in the units that /proc has.
struct Guardian {
    pid_t pid;
    std::uint64_t start;
};
std::optional<Guardian> running_guardian();

}  // namespace bpfwarden::guard
