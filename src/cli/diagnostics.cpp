// SPDX-License-Identifier: Apache-2.0
#include "cli/diagnostics.hpp"

#include <fmt/format.h>

namespace bpfwarden::cli {

std::string count_of(std::size_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

void print_diagnostics(const Diagnostics& diagnostics, const std::string& file, std::FILE* to) {
    for (const auto& one : diagnostics.sorted()) fmt::print(to, "{}\n", one.text());
    const auto more = [&](std::size_t count, std::string_view what) {
        if (count > Diagnostics::limit)
            fmt::print(to, "{}: {} more {}\n", Position{file, 0, 0}.text(), count - Diagnostics::limit, what);
    };
    more(diagnostics.errors(), "errors");
    more(diagnostics.warnings(), "warnings");
}

}  // namespace bpfwarden::cli
