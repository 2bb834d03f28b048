// SPDX-License-Identifier: Apache-2.0
// A policy put in force, and its names written down: before it decides, so that no process that ends in between leaves
// one in force that nobody knows the domains of.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "enforce/policy_force.hpp"
#include "enforce/policy_record.hpp"
#include "policy/compile.hpp"

namespace bpfwarden::enforce {

struct AppliedPolicy {
    PolicyRecord record;
    std::optional<Error> unwritten;  // why its names are not: a first policy is in force all the same
};

// An error, and nothing has changed, where the names cannot be written and another policy is in force.
Result<AppliedPolicy> apply_policy(PolicyForce& force, policy::Compiled compiled, std::vector<std::string> files,
                                   std::chrono::seconds confirm_within = {},
                                   const std::string& records = policy_records);

}  // namespace bpfwarden::enforce
