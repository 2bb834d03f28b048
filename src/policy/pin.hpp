// SPDX-License-Identifier: Apache-2.0
// What a file is known by besides its name and number: a digest, or a label in an extended attribute.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/toml_reader.hpp"
#include "shared/policy_image.h"

namespace bpfwarden::policy {

enum class PinKind : std::uint8_t {
    fsverity = BW_PIN_FSVERITY,
    ima = BW_PIN_IMA,
    label = BW_PIN_LABEL,
    user_label = BW_PIN_USER_LABEL,
};

struct Pin {
    PinKind kind = PinKind::label;
    std::uint8_t algorithm = 0;  // as the image has it
    std::string bytes;           // of the digest, or the label
    Position at;
    friend bool operator==(const Pin& one, const Pin& other) {
        return one.kind == other.kind && one.algorithm == other.algorithm && one.bytes == other.bytes;
    }
};

constexpr bool is_label(PinKind kind) { return kind == PinKind::label || kind == PinKind::user_label; }
constexpr std::uint32_t bit(PinKind kind) { return 1U << static_cast<unsigned>(kind); }

struct PinKindInfo {
    PinKind kind;
    std::string_view key;        // in `enter`, and of `policy explain`
    std::string_view attribute;  // of a label
};
std::span<const PinKindInfo> all_pin_kinds();
const PinKindInfo& info(PinKind kind);

// "sha256:0123…", or a label's text.
Result<Pin> parse_pin(PinKind kind, std::string_view text);
// The same back: "sha256:0123…", "web".
std::string text_of(const Pin& pin);
// `fsverity "sha256:0123…"`
std::string describe(const Pin& pin);

// What IMA on a machine makes digests with: "sha256" for the kernel's number of it; nothing for one that no policy can
// name.
std::optional<std::string_view> ima_algorithm_name(std::uint32_t algorithm);

}  // namespace bpfwarden::policy
