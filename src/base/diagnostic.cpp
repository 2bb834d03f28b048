// SPDX-License-Identifier: Apache-2.0
#include "base/diagnostic.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden {

std::string Position::text() const {
    return known() ? fmt::format("{}:{}:{}", printable(file), line, column) : printable(file);
}

std::string Diagnostic::text() const {
    std::string out =
        fmt::format("{}: {}: {}", at.text(), severity == Severity::error ? "error" : "warning", printable(what));
    if (!why.empty()) out += "\n  " + printable(why);
    if (!hint.empty()) out += "\n  " + printable(hint);
    return out;
}

void Diagnostics::error(Position at, std::string what, std::string why, std::string hint) {
    if (errors_++ < limit)
        all_.push_back({Severity::error, std::move(at), std::move(what), std::move(why), std::move(hint)});
}

void Diagnostics::warning(Position at, std::string what, std::string why, std::string hint) {
    if (warnings_++ < limit)
        all_.push_back({Severity::warning, std::move(at), std::move(what), std::move(why), std::move(hint)});
}

void Diagnostics::add(const Diagnostics& other) {
    for (const auto& one : other.all_)
        one.severity == Severity::error ? error(one.at, one.what, one.why, one.hint)
                                        : warning(one.at, one.what, one.why, one.hint);
    // What `other` had dropped already stays counted.
    errors_ += other.errors_ - std::min(other.errors_, limit);
    warnings_ += other.warnings_ - std::min(other.warnings_, limit);
}

std::vector<Diagnostic> Diagnostics::sorted() const {
    std::vector<std::string_view> files;
    for (const auto& one : all_)
        if (std::ranges::find(files, one.at.file) == files.end()) files.push_back(one.at.file);
    // By index last: what was found first at a place is said first.
    std::vector<std::tuple<std::ptrdiff_t, unsigned, unsigned, std::size_t>> order;
    for (std::size_t i = 0; i < all_.size(); ++i) {
        const auto& at = all_[i].at;
        order.emplace_back(std::ranges::find(files, at.file) - files.begin(), at.line, at.column, i);
    }
    std::ranges::sort(order);
    std::vector<Diagnostic> sorted;
    for (const auto& one : order) sorted.push_back(all_[std::get<3>(one)]);
    return sorted;
}

}  // namespace bpfwarden
