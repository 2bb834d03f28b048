// SPDX-License-Identifier: Apache-2.0
// What the guard's own texts say, and who takes turns at changing it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/bpf_thing.hpp"

namespace bpfwarden::guard {

struct SealState {
    bool armed = false;
    std::uint32_t updater = 0, domain = 0, device = 0;
    std::uint64_t since = 0, attempts = 0, lost = 0;
    std::uint32_t changer = 0, guardian = 0;
};
// Nothing where there is no seal.
std::optional<SealState> read_state();
// Lines of one of the texts that the guard's programs write.
std::size_t count_lines(const char* name);

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
