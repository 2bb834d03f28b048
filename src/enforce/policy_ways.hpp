// SPDX-License-Identifier: Apache-2.0
// How a domain of a policy in force is entered.
#pragma once

#include <cstdint>

#include "enforce/policy_force.hpp"

namespace bpfwarden::enforce {

// An error with what to do if somebody could be in the domain whose program root can replace: each way in must go by a
// digest, and lead to memory that who calls it has no part in.
Result<> require_known_by_digest(const ForcedImage& image, std::uint32_t domain);

}  // namespace bpfwarden::enforce
