// SPDX-License-Identifier: Apache-2.0
// Every key of the policy language, once: the parser's list of known keys and the test of the manual page go by it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace bpfwarden::policy {

struct Key {
    std::string_view table;  // "rule"; empty at the top level
    std::string_view name;
    std::string_view takes;  // what stands on the right
};

std::span<const Key> all_keys();
std::vector<std::string_view> keys_in(std::string_view table);
// Keys that a person may well try, and what to write instead; empty if there is nothing special to say.
std::string_view instead_of(std::string_view table, std::string_view key);

}  // namespace bpfwarden::policy
