// SPDX-License-Identifier: Apache-2.0
// The --json documents of `bpfwarden policy`, one a verb. The only file of them that sees nlohmann-json.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/policy.hpp"
#include "enforce/file_identity.hpp"
#include "policy/diff.hpp"
#include "policy/evaluate.hpp"

namespace bpfwarden::cli {

// One operation that was asked about.
struct Explained {
    std::string operation;  // "write"
    std::string object;     // "/etc/passwd"; may be empty
    policy::Decision decision;
};
struct Explanation {
    std::string domain;
    std::vector<Explained> operations;
    // Of an exec: the domain after it, and the way that was taken.
    std::optional<std::string> enters;
    std::optional<policy::WayInfo> way;
};

void print_policy_check_json(std::span<const std::string> files, const Diagnostics& diagnostics);  // …policy.check/1
void print_policy_show_json(const ReadPolicies& policies);                                         // …policy.show/1
void print_policy_explain_json(const ReadPolicies& policies, const Explanation& explanation);      // …policy.explain/1
// …policy.identity/1
void print_policy_identity_json(std::span<const std::pair<std::string, enforce::FileIdentity>> files);
void print_policy_diff_json(const policy::Diff& diff);  // …policy.diff/1

}  // namespace bpfwarden::cli
