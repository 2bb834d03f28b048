// SPDX-License-Identifier: Apache-2.0
// Text -> Grant: keys, types, units and spelling rules. Names of kernel things and groups are looked up later
// (resolve.hpp), so that a grant can be taken apart without knowing any kernel.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "grant/grant.hpp"

namespace bpfwarden::grant {

// `file` is what messages call the text. Everything wrong is reported; what could be read is in the result all the
// same, so that later stages can report more. Nothing only when the text is not TOML. Never use a grant whose
// diagnostics are not ok().
std::optional<Grant> parse(std::string_view text, const std::string& file, Diagnostics& diagnostics);

// The name under which a grant without `name` goes: its file's name without directories and ".toml".
std::string default_name(std::string_view file);
// [a-z0-9] then [a-z0-9._-], at most 64: it becomes a file name under /run.
bool valid_name(std::string_view name);

}  // namespace bpfwarden::grant
