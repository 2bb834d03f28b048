// SPDX-License-Identifier: Apache-2.0
// A profile as it is written, read and checked but not yet chosen from or put together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "filter/numbers.hpp"
#include "filter/profile.hpp"
#include "filter/profile_rules.hpp"

namespace bpfwarden::filter {

// includes or excludes.
struct When {
    std::vector<std::string> capabilities;
    std::vector<std::string> arches;
    std::optional<Kernel> min_kernel;
};

struct RuleEntry {
    std::string path;
    unsigned line = 0;
    std::vector<std::string> names;
    std::uint32_t action = 0;
    std::vector<ArgumentCheck> checks;
    When includes, excludes;
};

struct ArchEntry {
    std::string architecture;
    std::vector<std::string> sub_architectures;
};

struct ProfileDocument {
    std::uint32_t default_action = 0;
    unsigned default_line = 0;
    std::vector<std::string> architectures;
    std::vector<ArchEntry> arch_map;
    std::vector<RuleEntry> rules;
    std::uint32_t flags = 0;
    bool has_flags = false;
    std::string listener_path, listener_metadata;
    std::vector<Warning> warnings;
};

Result<ProfileDocument> parse_profile(std::string_view json);

}  // namespace bpfwarden::filter
