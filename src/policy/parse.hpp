// SPDX-License-Identifier: Apache-2.0
// Text -> Policy: keys, types, units, globs and spelling. Domains are looked up later (link.hpp), as other files may
// define them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "policy/policy.hpp"

namespace bpfwarden::policy {

// The machine's users and groups, which this library does not read. Without them names are errors.
struct Names {
    std::function<std::optional<std::uint32_t>(const std::string&)> user, group;
};

// `file` is what messages call the text. Everything wrong is reported; what could be read is in the result all the
// same. Nothing only when the text is not TOML. Never use a policy whose diagnostics are not ok().
std::optional<Policy> parse(std::string_view text, const std::string& file, const Names& names,
                            Diagnostics& diagnostics);

// [a-z0-9] then [a-z0-9._-], at most 64.
bool valid_name(std::string_view name);

// "10.0.0.0/8", "::1", "fe80::/10" -> family, address and prefix. Errors are bad_input.
Result<Net> parse_address(std::string_view text);

}  // namespace bpfwarden::policy
