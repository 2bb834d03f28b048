// SPDX-License-Identifier: Apache-2.0
// TOML text -> a plain tree with positions. toml.cpp is the only file that sees toml++ (20 s to compile); everything
// else reads this tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.hpp"

namespace bpfwarden {

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

// What messages call such a file, and how much it may hold.
struct TomlFile {
    std::string_view noun = "grant";
    std::size_t most_values = 50'000;
};

// The file's top table, or nothing and the (one) syntax error in `diagnostics`. Any bytes may be given: text that is
// not UTF-8, nested deeper than any of our files can be, or with too many values is an error.
std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file, Diagnostics& diagnostics,
                                    const TomlFile& kind = {});

}  // namespace bpfwarden
