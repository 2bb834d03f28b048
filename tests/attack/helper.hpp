// SPDX-License-Identifier: Apache-2.0
// A program of the attacker's that the kernel starts: not as its child, and in the first mount namespace.
#pragma once

#include <string>

#include "attack/attack.hpp"

namespace bpfwarden::test {

inline const std::string helper_program = "/bpfwarden/helper";

// It removes the pins that this process sees.
void write_helper(const Place& at);
// When it has run; ETIMEDOUT if it does not.
int helper_has_run();

}  // namespace bpfwarden::test
