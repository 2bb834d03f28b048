// SPDX-License-Identifier: Apache-2.0
// What several --json documents have in common.
#pragma once

#include <nlohmann/json.hpp>

#include "base/diagnostic.hpp"

namespace bpfwarden::cli {

using Json = nlohmann::ordered_json;

// To stdout. File names can hold any byte; what is not UTF-8 is replaced.
void print_json(const Json& document);
// {file, line, column}
Json place_json(const Position& at);
Json diagnostics_json(const Diagnostics& diagnostics);

}  // namespace bpfwarden::cli
