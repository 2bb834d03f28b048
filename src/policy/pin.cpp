// SPDX-License-Identifier: Apache-2.0
#include "policy/pin.hpp"

#include <linux/fsverity.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::policy {

// Only algorithms that nobody knows how to forge.
struct Algorithm {
    std::string_view name;
    std::size_t bytes;
    std::uint8_t fsverity, ima;  // the kernel's numbers; 0: it is not used there
};
static constexpr Algorithm algorithms[] = {
    {"sha256", 32, FS_VERITY_HASH_ALG_SHA256, 4},
    {"sha384", 48, 0, 5},
    {"sha512", 64, FS_VERITY_HASH_ALG_SHA512, 6},
};

static std::uint8_t number_of(const Algorithm& algorithm, PinKind kind) {
    return kind == PinKind::fsverity ? algorithm.fsverity : algorithm.ima;
}

std::span<const PinKindInfo> all_pin_kinds() {
    static constexpr PinKindInfo kinds[BW_PIN_KINDS] = {
        {PinKind::fsverity, "fsverity", ""},
        {PinKind::ima, "ima", ""},
        {PinKind::label, "label", "security.bpf.bpfwarden"},
        {PinKind::user_label, "user_label", "user.bpfwarden"},
    };
    return kinds;
}

const PinKindInfo& info(PinKind kind) { return all_pin_kinds()[static_cast<std::size_t>(kind)]; }

static std::optional<std::string> bytes_of(std::string_view hex) {
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        const int high = digit(hex[i]), low = digit(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes += static_cast<char>(high << 4 | low);
    }
    if (hex.size() % 2) return std::nullopt;
    return bytes;
}

static Result<Pin> parse_digest(PinKind kind, std::string_view text) {
    std::vector<std::string_view> known;
    for (const auto& one : algorithms)
        if (number_of(one, kind)) known.push_back(one.name);
    const auto bad = [&](std::string why) {
        return fail(Error(Code::bad_input, fmt::format("{} is no digest", quoted(text)))
                        .because(std::move(why))
                        .advise("bpfwarden policy identity FILE prints it"));
    };
    const auto colon = text.find(':');
    if (colon == text.npos)
        return bad(fmt::format("it is written ALGORITHM:DIGITS; known are {}", fmt::join(known, ", ")));
    const auto* algorithm = std::ranges::find(algorithms, text.substr(0, colon), &Algorithm::name);
    if (algorithm == std::end(algorithms) || !number_of(*algorithm, kind))
        return bad(fmt::format("the algorithms for {} are {}", info(kind).key, fmt::join(known, ", ")));
    auto bytes = bytes_of(text.substr(colon + 1));
    if (!bytes || bytes->size() != algorithm->bytes)
        return bad(fmt::format("{} has {} digits of 0-9 and a-f", algorithm->name, algorithm->bytes * 2));
    return Pin{kind, number_of(*algorithm, kind), std::move(*bytes), {}};
}

Result<Pin> parse_pin(PinKind kind, std::string_view text) {
    if (!is_label(kind)) return parse_digest(kind, text);
    if (text.empty() || text.size() > BW_PIN_BYTES || text.find('\0') != text.npos)
        return fail(
            Error(Code::bad_input, fmt::format("{} is no label", quoted(text)))
                .because(fmt::format("a label is the whole value of the attribute {}: 1 to {} bytes, none of them zero",
                                     info(kind).attribute, BW_PIN_BYTES)));
    return Pin{kind, 0, std::string(text), {}};
}

std::string text_of(const Pin& pin) {
    if (is_label(pin.kind)) return pin.bytes;
    std::string text;
    for (const auto& one : algorithms)
        if (number_of(one, pin.kind) == pin.algorithm) text = std::string(one.name) + ":";
    for (const char c : pin.bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return text;
}

std::string describe(const Pin& pin) { return fmt::format("{} {}", info(pin.kind).key, printable(text_of(pin))); }

std::optional<std::string_view> ima_algorithm_name(std::uint32_t algorithm) {
    const auto* at = std::ranges::find(algorithms, algorithm, &Algorithm::ima);
    if (at == std::end(algorithms)) return std::nullopt;
    return at->name;
}

}  // namespace bpfwarden::policy
