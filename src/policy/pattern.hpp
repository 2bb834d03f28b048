// SPDX-License-Identifier: Apache-2.0
// One pattern of the language, taken apart: alternatives in braces expanded, components told apart.
#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::policy {

struct Component {
    enum class Kind {
        literal,  // `text` is the name itself
        glob,     // `text` is a glob with at least one wildcard
        any,      // any one name: "*"
        deep,     // any number of names: "**"
    };
    Kind kind = Kind::literal;
    std::string text;
    friend bool operator==(const Component&, const Component&) = default;
};

// A path, component by component. "/" itself has none.
struct Pattern {
    bool detached = false;  // "TYPE:/…": the first component is the type of a file system
    std::vector<Component> components;

    // As it would be written.
    std::string text() const;
    friend bool operator==(const Pattern&, const Pattern&) = default;
};

inline constexpr std::size_t longest_name = 255;
inline constexpr std::size_t deepest_path = 256;
inline constexpr std::size_t most_alternatives = 1024;

// Errors are bad_input and have advice. "**" at the end needs at least one name, elsewhere none: "/a/**" is all below
// /a.
Result<std::vector<Pattern>> parse_pattern(std::string_view text);
// One name, as the type of a file system: "tmpfs", "fuse*". No "/", no "**".
Result<std::vector<Pattern>> parse_name_pattern(std::string_view text);

// A glob of one name: what each place takes.
struct GlobToken {
    bool star = false;       // any number of bytes
    std::bitset<256> bytes;  // else one of these
};
// Of a component of kind glob, which was parsed before.
std::vector<GlobToken> glob_tokens(std::string_view glob);

// `name` written so that it stands for itself in a pattern.
std::string escape_name(std::string_view name);

}  // namespace bpfwarden::policy
