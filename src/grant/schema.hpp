// SPDX-License-Identifier: Apache-2.0
// Every key of the grant language, once: the parser's list of known keys, the enforcement table, `grant show` and the
// test of the man page all go by it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace bpfwarden::grant {

struct Key {
    std::string_view table;  // "allow"; empty at the top level
    std::string_view name;   // "map_types"
    std::string_view takes;  // what stands on the right: "list of names", "size", …
};

std::span<const Key> all_keys();
std::vector<std::string_view> keys_in(std::string_view table);
// The tables themselves: "groups", "allow", …
std::span<const std::string_view> all_tables();
// Keys that a person may well try, and what to write instead; empty if there is nothing special to say.
std::string_view instead_of(std::string_view table, std::string_view key);

}  // namespace bpfwarden::grant
