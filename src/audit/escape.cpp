// SPDX-License-Identifier: Apache-2.0
#include "audit/escape.hpp"

#include "base/text.hpp"

namespace bpfwarden::audit {

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

// Whether `text` has "\xNN" at `at`. Capital digits are not ours: escape() writes small ones.
static bool is_escaped(std::string_view text, std::size_t at) {
    return at + 4 <= text.size() && text[at] == '\\' && text[at + 1] == 'x' && hex_digit(text[at + 2]) >= 0 &&
           hex_digit(text[at + 3]) >= 0;
}

std::string escape(std::string_view bytes) {
    if (!bytes.contains("\\x")) return printable(bytes);
    std::string guarded;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        guarded += bytes[i];
        if (is_escaped(bytes, i)) guarded += "x5c";
    }
    return printable(guarded);
}

std::string unescape(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_escaped(text, i)) {
            bytes += static_cast<char>(hex_digit(text[i + 2]) << 4 | hex_digit(text[i + 3]));
            i += 3;
        } else {
            bytes += text[i];
        }
    }
    return bytes;
}

}  // namespace bpfwarden::audit
