// SPDX-License-Identifier: Apache-2.0
// The sealed half of a vector, in one place.
#pragma once

#include <string>

#include "attack/victim.hpp"

namespace bpfwarden::test {

// Why this build cannot protect anything, or "".
std::string why_no_guard();
// Protects the victim, from within its world. False if that did not go well.
bool protect(const World& world, Victim victim);
// Whether an event of tampering names this process.
bool told_of(pid_t actor);
void release_all();

}  // namespace bpfwarden::test
