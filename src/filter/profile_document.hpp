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

namespace bpfwarden::filter {

enum class Operator : std::uint8_t { not_equal, below, at_most, equal, at_least, above, masked_equal };

struct ArgumentCheck {
    unsigned argument = 0;
    Operator op = Operator::equal;
    std::uint64_t value = 0;
    std::uint64_t mask = ~std::uint64_t{0};  // of masked_equal
};

// includes or excludes.
struct When {
    std::vector<std::string> capabilities;
    std::vector<std::string> arches;
    std::optional<Kernel> min_kernel;
};

struct RuleEntry {
    std::string path;
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
