// SPDX-License-Identifier: Apache-2.0
// Small text helpers: the nearest known word, globs, lists, sizes and times.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden {

// The candidate closest to `word` by edit distance, if any is close enough to be a likely slip.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

// fnmatch-like globs: `*` any run without '/', `**` any run, `?` one character but '/', `[a-z]` and `[!a-z]` classes,
// `\` quotes the next character.
bool glob_match(std::string_view pattern, std::string_view text);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string lower(std::string_view text);
// 'text' quoted for a message, control characters and other bytes that a terminal might act on escaped.
std::string quoted(std::string_view text);
// Text safe to print: whole UTF-8 letters stay, control characters, text-direction controls and broken bytes are
// escaped as \xNN.
std::string printable(std::string_view text);

// "64MiB", "4KiB", "1GiB", "512" (bytes); KB/MB/GB are refused as ambiguous.
Result<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);
// "8h", "30m", "1h30m", "500ms" -> milliseconds. A bare number is refused: it has no unit.
Result<std::uint64_t> parse_duration_ms(std::string_view text);
std::string format_duration_ms(std::uint64_t ms);

}  // namespace bpfwarden
