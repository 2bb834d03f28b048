// SPDX-License-Identifier: Apache-2.0
// The spawner's own life.
#pragma once

#include "base/fd.hpp"

namespace bpfwarden::broker {

// Serves the daemon until it hangs up. The exit status.
int run_spawner(UniqueFd daemon);

}  // namespace bpfwarden::broker
