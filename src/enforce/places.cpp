// SPDX-License-Identifier: Apache-2.0
#include "enforce/places.hpp"

#include "enforce/guard_object.hpp"

namespace bpfwarden::enforce {

// Whoever seals or unseals may have ended in the middle: the policy is where the guard's own word says, not where pins
// are.
std::string policy_pins() {
    const auto state = guard_state(sealed_guard);
    return state && state->armed ? sealed_policy : unsealed_policy;
}

}  // namespace bpfwarden::enforce
