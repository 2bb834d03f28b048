// SPDX-License-Identifier: Apache-2.0
// There is one bpfwarden-guard, and others can see whether it runs: it holds a lock on a file, with its pid in it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::enforce {

// `run`: the daemons' directory, /run/bpfwarden. Held for as long as the fd is open.
Result<UniqueFd> take_guard_lock(const std::string& run);
// Its pid, as it wrote it down.
std::optional<pid_t> guard_running(const std::string& run);

}  // namespace bpfwarden::enforce
