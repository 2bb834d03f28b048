// SPDX-License-Identifier: Apache-2.0
#include "grant/toml.hpp"

#include <algorithm>
#include <utility>

// A grant nests four deep; toml++'s own default of 256 would let a hostile file use much stack.
#define TOML_MAX_NESTED_VALUES 16
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::grant {

std::string_view TomlValue::kind_name() const {
    static constexpr std::string_view names[] = {"a string", "a number", "true or false",
                                                 "a list",   "a table",  "a date, a time or a fraction"};
    return names[static_cast<std::size_t>(kind)];
}

// toml++ limits how deep values nest, not how many parts a dotted key has ("a.a.a.…"): every part is one more table,
// and destroying the chain recurses. So keys with many dots are refused before toml++ sees the text. Up to its first
// syntax error this scan and toml++ agree on what is inside a string, and after that toml++ builds nothing more.
static std::optional<std::pair<unsigned, unsigned>> deep_key(std::string_view text) {
    static constexpr unsigned most_dots = 8;
    unsigned line = 1, column = 0, dots = 0;
    char quote = 0;
    bool multi_line = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        ++column;
        const bool triple = text.substr(i, 3) == std::string(3, c);
        if (quote) {
            if (c == '\\' && quote == '"') {
                ++i, ++column;
                if (i < text.size() && text[i] == '\n') ++line, column = 0;
            } else if (c == quote && (!multi_line || triple)) {
                if (multi_line) {
                    // Up to two more quotes belong to the string: """a""""".
                    i += 2, column += 2;
                    while (i + 1 < text.size() && text[i + 1] == quote) ++i, ++column;
                }
                quote = 0;
            } else if (c == '\n') {
                ++line, column = 0;
                if (!multi_line) quote = 0;
            }
        } else if (c == '"' || c == '\'') {
            quote = c;
            multi_line = triple;
            if (triple) i += 2, column += 2;
        } else if (c == '#') {
            while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
        } else if (c == '\n') {
            ++line, column = 0, dots = 0;
        } else if (c == '=' || c == ',' || c == '{' || c == '[') {
            dots = 0;
        } else if (c == '.' && ++dots > most_dots) {
            return std::pair{line, column};
        }
    }
    return std::nullopt;
}

namespace {

// Copies the toml++ tree; counts values so that a file of a million numbers costs no more than a large one.
class Copier {
  public:
    TomlValue copy(const toml::node& node) {
        TomlValue out;
        ++count_;
        out.line = node.source().begin.line;
        out.column = node.source().begin.column;
        if (const auto* string = node.as_string()) {
            out.kind = TomlValue::Kind::string;
            out.text = string->get();
        } else if (const auto* integer = node.as_integer()) {
            out.kind = TomlValue::Kind::integer;
            out.integer = integer->get();
        } else if (const auto* boolean = node.as_boolean()) {
            out.kind = TomlValue::Kind::boolean;
            out.boolean = boolean->get();
        } else if (const auto* array = node.as_array()) {
            out.kind = TomlValue::Kind::array;
            for (const auto& item : *array) {
                if (count_ > max_toml_values) break;
                out.items.push_back(copy(item));
            }
        } else if (const auto* table = node.as_table()) {
            out.kind = TomlValue::Kind::table;
            for (const auto& [key, value] : *table) {
                if (count_ > max_toml_values) break;
                auto member = copy(value);
                member.key = std::string(key.str());
                member.key_line = key.source().begin.line;
                member.key_column = key.source().begin.column;
                out.items.push_back(std::move(member));
            }
            std::ranges::sort(out.items, {},
                              [](const TomlValue& one) { return std::tuple(one.key_line, one.key_column); });
        }
        return out;
    }
    bool too_many() const { return count_ > max_toml_values; }

  private:
    std::size_t count_ = 0;
};

}  // namespace

std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
    if (const auto deep = deep_key(text)) {
        diagnostics.error({file, deep->first, deep->second}, "this key has too many parts",
                          "no key of a grant is nested deeper than TABLE.KEY");
        return std::nullopt;
    }
    const auto result = toml::parse(text);
    if (!result) {
        const auto& at = result.error().source().begin;
        // toml++ ends its sentences, and puts pieces of the input into them.
        std::string what(result.error().description());
        while (!what.empty() && (what.back() == '.' || what.back() == ' ')) what.pop_back();
        diagnostics.error({file, std::max(at.line, 1U), std::max(at.column, 1U)}, what,
                          "a grant is a TOML 1.0 file in UTF-8");
        return std::nullopt;
    }
    Copier copier;
    auto tree = copier.copy(result.table());
    if (copier.too_many()) {
        diagnostics.error({file, 1, 1}, fmt::format("more than {} values in one file", max_toml_values),
                          "no grant is that long");
        return std::nullopt;
    }
    return tree;
}

}  // namespace bpfwarden::grant
