// SPDX-License-Identifier: Apache-2.0
#include "enforce/places.hpp"

#include <fmt/format.h>

#include "kernel/file.hpp"

namespace bpfwarden::enforce {

// Whoever seals or unseals may have ended in the middle: the policy is where the guard's own word says, not where pins
// are.
std::string policy_pins() {
    const auto state = kernel::read_file(fmt::format("{}/show_guard", sealed_guard));
    return state && state->starts_with("1 ") ? sealed_policy : unsealed_policy;
}

}  // namespace bpfwarden::enforce
