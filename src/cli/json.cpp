// SPDX-License-Identifier: Apache-2.0
#include "cli/json.hpp"

#include <fmt/format.h>

namespace bpfwarden::cli {

void print_json(const Json& document) {
    fmt::print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
}

Json place_json(const Position& at) {
    if (!at.known()) return {{"file", at.file}};
    return {{"file", at.file}, {"line", at.line}, {"column", at.column}};
}

Json diagnostics_json(const Diagnostics& diagnostics) {
    Json list = Json::array();
    for (const auto& diagnostic : diagnostics.sorted())
        list.push_back({{"severity", diagnostic.severity == Severity::error ? "error" : "warning"},
                        {"at", place_json(diagnostic.at)},
                        {"what", diagnostic.what},
                        {"why", diagnostic.why},
                        {"hint", diagnostic.hint}});
    return list;
}

}  // namespace bpfwarden::cli
