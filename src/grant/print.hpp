// SPDX-License-Identifier: Apache-2.0
// Resolved -> text of a grant: one file, without includes and groups, that resolves to the same.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "grant/resolve.hpp"

namespace bpfwarden::grant {

// Fails (bad_input) if several files narrow the same thing: one file cannot say that.
Result<std::string> to_toml(const Resolved& grant);
// `text` as a TOML string with its quotes.
std::string toml_string(std::string_view text);

}  // namespace bpfwarden::grant
