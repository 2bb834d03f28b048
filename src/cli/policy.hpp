// SPDX-License-Identifier: Apache-2.0
// What the verbs of `bpfwarden policy` share.
#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"
#include "policy/compile.hpp"
#include "policy/load.hpp"

namespace bpfwarden::cli {

Result<int> policy_check(const Args& args);
Result<int> policy_show(const Args& args);
Result<int> policy_explain(const Args& args);
Result<int> policy_diff(const Args& args);
Result<int> policy_identity(const Args& args);
Result<int> policy_apply(const Args& args);
Result<int> policy_confirm(const Args& args);
Result<int> policy_rollback(const Args& args);
Result<int> policy_status(const Args& args);
Result<int> policy_remove(const Args& args);

// Policies that are right, and their image.
struct ReadPolicies {
    policy::Loaded loaded;
    policy::Compiled compiled;
};
// For a command that needs valid policies: their problems go to stderr and the error is bad_input.
Result<ReadPolicies> read_policies(const std::vector<std::string>& files);

}  // namespace bpfwarden::cli
