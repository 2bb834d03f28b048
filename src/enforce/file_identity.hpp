// SPDX-License-Identifier: Apache-2.0
// What the kernel's programs know a file by: for people who write it into a policy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "policy/policy.hpp"

namespace bpfwarden::enforce {

struct FileIdentity {
    std::optional<policy::Identity> identity;  // nothing: its file system tells nobody the generation
    std::vector<policy::Pin> pins;             // digests and labels that it has; that by IMA as SHA-256
};

// Of a regular file or directory; symbolic links are followed. Fails with not_found, denied, bad_input.
Result<FileIdentity> identify_file(const std::string& path);

}  // namespace bpfwarden::enforce
