// SPDX-License-Identifier: Apache-2.0
// TOML text -> a plain tree with positions. toml.cpp is the only file that sees toml++ (20 s to compile); everything
// else reads this tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grant/diagnostic.hpp"

namespace bpfwarden::grant {

struct TomlValue {
    enum class Kind { string, integer, boolean, array, table, other };

    Kind kind = Kind::other;
    unsigned line = 0, column = 0;
    std::string text;  // of a string
    std::int64_t integer = 0;
    bool boolean = false;
    std::vector<TomlValue> items;  // of an array; of a table its members, in the order of the file
    // A table's member: its key and where the key stands.
    std::string key;
    unsigned key_line = 0, key_column = 0;

    // "a string", "a table", …
    std::string_view kind_name() const;
};

// The file's top table, or nothing and the (one) syntax error in `diagnostics`. Any bytes may be given: text that is
// not UTF-8, nested deeper than a grant can be, or with more values than `max_toml_values` is an error.
inline constexpr std::size_t max_toml_values = 50'000;
std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file, Diagnostics& diagnostics);

}  // namespace bpfwarden::grant
