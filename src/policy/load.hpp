// SPDX-License-Identifier: Apache-2.0
// Policies from files, and the machine's users. The only file of this folder that opens anything.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "policy/parse.hpp"

namespace bpfwarden::policy {

inline constexpr std::size_t largest_file = std::size_t{16} << 20;

// Looks names up in the machine's user database.
const Names& machine_names();

// Files that were read: the policies of those that could be parsed, and everything wrong with any.
struct Loaded {
    std::vector<Policy> policies;
    Diagnostics diagnostics;
    std::map<std::string, std::string, std::less<>> texts;  // by what messages call the file

    // The line of text at `at`, without its newline; empty if there is none.
    std::string_view line(const Position& at) const;
};

// Paths, and "-" for standard input. An Error only if one cannot be read at all: not_found, bad_input for what is no
// regular file or too long.
Result<Loaded> load(std::span<const std::string> files, const Names& names = machine_names());

}  // namespace bpfwarden::policy
