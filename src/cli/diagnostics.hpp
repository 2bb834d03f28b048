// SPDX-License-Identifier: Apache-2.0
// How commands print what is wrong with files.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "base/diagnostic.hpp"

namespace bpfwarden::cli {

// Every problem on lines of its own, and how many more there were.
void print_diagnostics(const Diagnostics& diagnostics, const std::string& file, std::FILE* to);
// "1 error", "2 errors"
std::string count_of(std::size_t n, std::string_view what);

}  // namespace bpfwarden::cli
