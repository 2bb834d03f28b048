// SPDX-License-Identifier: Apache-2.0
// Tells a process that it is a fork of the one that was here before.
#pragma once

#include <cstdint>

namespace bpfwarden::client {

// Another number in a forked child than in its parent, and the same for all threads of one process. Never 0.
std::uint64_t fork_epoch();

}  // namespace bpfwarden::client
