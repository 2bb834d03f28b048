// SPDX-License-Identifier: Apache-2.0
// The built-in groups: "@net" in a list stands for the names below. What a group holds is fixed within a release; a
// later one may add names that the kernel got meanwhile.
#pragma once

#include <span>
#include <string_view>

#include "grant/grant.hpp"

namespace bpfwarden::grant {

struct BuiltinGroup {
    Dimension dimension;
    std::string_view name;  // without "@"
    std::string_view what;  // one line for the manual
    std::span<const std::string_view> members;
};

std::span<const BuiltinGroup> builtin_groups();
const BuiltinGroup* builtin_group(Dimension dimension, std::string_view name);

}  // namespace bpfwarden::grant
