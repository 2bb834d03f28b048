// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace bpfwarden {

// Levenshtein distance with adjacent transpositions counted once ("hsah" is one slip from "hash").
static std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
    const std::string wanted = lower(word);
    std::optional<std::string_view> best;
    std::size_t best_distance = 1 + std::max<std::size_t>(word.size() / 3, 1);
    for (const auto candidate : candidates) {
        const std::size_t d = distance(wanted, lower(candidate));
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

// Where the class that opens at pattern[0] == '[' ends, and whether `c` is in it; nullopt if it never closes.
static std::optional<std::pair<std::size_t, bool>> match_class(std::string_view pattern, char c) {
    std::size_t i = 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (negated) ++i;
    bool found = false;
    for (const std::size_t first = i; i < pattern.size(); ++i) {
        if (pattern[i] == ']' && i > first) return std::pair{i + 1, found != negated};
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            found = found || (pattern[i] <= c && c <= pattern[i + 2]);
            i += 2;
        } else {
            found = found || pattern[i] == c;
        }
    }
    return std::nullopt;
}

// Iterative with one remembered star of each kind: linear in practice, quadratic at worst, never exponential.
bool glob_match(std::string_view pattern, std::string_view text) {
    struct Star {
        std::size_t pattern, text;
    };
    std::optional<Star> single, deep;
    std::size_t p = 0, t = 0;
    while (true) {
        if (p < pattern.size() && pattern[p] == '*') {
            if (p + 1 < pattern.size() && pattern[p + 1] == '*') {
                p += 2;
                deep = Star{p, t};
                single.reset();
            } else {
                single = Star{++p, t};
            }
            continue;
        }
        if (t == text.size() && p == pattern.size()) return true;
        if (t < text.size() && p < pattern.size()) {
            const char c = text[t];
            if (pattern[p] == '?' && c != '/') {
                ++p, ++t;
                continue;
            }
            if (pattern[p] == '[') {
                if (const auto m = match_class(pattern.substr(p), c); m) {
                    if (m->second && c != '/') {
                        p += m->first, ++t;
                        continue;
                    }
                } else if (c == '[') {
                    ++p, ++t;
                    continue;
                }
            } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
                if (pattern[p + 1] == c) {
                    p += 2, ++t;
                    continue;
                }
            } else if (pattern[p] == c && pattern[p] != '?') {
                ++p, ++t;
                continue;
            }
        }
        if (single && single->text < text.size() && text[single->text] != '/') {
            p = single->pattern;
            t = ++single->text;
        } else if (deep && deep->text < text.size()) {
            p = deep->pattern;
            t = ++deep->text;
            single.reset();
        } else {
            return false;
        }
    }
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const auto at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
    return fmt::format("{}", fmt::join(parts, separator));
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte >= 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out + "\"";
}

// The length of the UTF-8 sequence at the start of `text` and its code point; length 0 if it is broken (overlong forms
// and surrogates included).
static std::pair<std::size_t, std::uint32_t> decode_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return {1, first};
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return {0, 0};
    std::uint32_t code = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {0, 0};
        code = code << 6 | (byte(i) & 0x3fU);
    }
    static constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {0, 0};
    return {length, code};
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto [length, code] = decode_utf8(text);
        const bool acts = length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) ||
                          (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                          (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || code == 0x061c;
        if (length == 0) length = 1;
        if (acts)
            for (std::size_t i = 0; i < length; ++i)
                out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
        else
            out += text.substr(0, length);
        text.remove_prefix(length);
    }
    return out;
}

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

static constexpr std::array size_units{Unit{"TiB", 1ULL << 40}, Unit{"GiB", 1ULL << 30}, Unit{"MiB", 1ULL << 20},
                                       Unit{"KiB", 1ULL << 10}, Unit{"B", 1}};
static constexpr std::array time_units{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000},
                                       Unit{"ms", 1}};

// Takes one "NUMBER UNIT" off the front of `text`, or says that there is none.
static std::optional<std::uint64_t> take_quantity(std::string_view& text, std::span<const Unit> units) {
    std::uint64_t number = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (err != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::string_view word =
        text.substr(0, text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"));
    const auto unit = std::ranges::find(units, word, &Unit::name);
    std::uint64_t product = 0;
    if (unit == units.end() || __builtin_mul_overflow(number, unit->factor, &product)) return std::nullopt;
    text.remove_prefix(word.size());
    return product;
}

Result<std::uint64_t> parse_size(std::string_view text) {
    std::string_view rest = text;
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
        std::uint64_t bytes = 0;
        if (std::from_chars(text.data(), text.data() + text.size(), bytes).ec == std::errc{}) return bytes;
    } else if (const auto bytes = take_quantity(rest, size_units); bytes && rest.empty()) {
        return *bytes;
    }
    return fail(Error(Code::bad_input, fmt::format("{} is not a size", quoted(text)))
                    .because("a size is a whole number and a unit: B, KiB, MiB, GiB or TiB")
                    .advise("write \"64MiB\", for example"));
}

Result<std::uint64_t> parse_duration_ms(std::string_view text) {
    std::string_view rest = text;
    std::uint64_t total = 0;
    bool good = !text.empty();
    while (good && !rest.empty()) {
        const auto part = take_quantity(rest, time_units);
        good = part && !__builtin_add_overflow(total, *part, &total);
    }
    if (good) return total;
    return fail(Error(Code::bad_input, fmt::format("{} is not a length of time", quoted(text)))
                    .because("a length of time is whole numbers with units: d, h, m, s, ms")
                    .advise("write \"8h\" or \"1h30m\", for example"));
}

std::string format_size(std::uint64_t bytes) {
    for (const auto& unit : size_units)
        if (bytes >= unit.factor && bytes % unit.factor == 0)
            return fmt::format("{}{}", bytes / unit.factor, unit.name);
    return "0B";
}

std::string format_duration_ms(std::uint64_t ms) {
    std::string out;
    for (const auto& unit : time_units) {
        if (ms < unit.factor) continue;
        out += fmt::format("{}{}", ms / unit.factor, unit.name);
        ms %= unit.factor;
    }
    return out.empty() ? "0s" : out;
}

}  // namespace bpfwarden
