// SPDX-License-Identifier: Apache-2.0
// What parsers of our TOML files share: values of the kind that they must be, each with its place, or an error there.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/diagnostic.hpp"
#include "base/toml.hpp"

namespace bpfwarden {

// A string and where it was written.
struct Entry {
    std::string text;
    Position at;
};

struct List {
    Position at;  // of the key
    std::vector<Entry> entries;
};

class TomlReader {
  public:
    static constexpr std::size_t longest_string = 4096;

    TomlReader(std::string file, Diagnostics& diagnostics, std::size_t most_entries = 4096)
        : file_(std::move(file)), diagnostics_(diagnostics), most_entries_(most_entries) {}

  protected:
    using Kind = TomlValue::Kind;

    Position at(const TomlValue& value) const { return {file_, value.line, value.column}; }
    Position key_at(const TomlValue& member) const { return {file_, member.key_line, member.key_column}; }
    void error(Position where, std::string what, std::string why = "", std::string hint = "") const {
        diagnostics_.error(std::move(where), std::move(what), std::move(why), std::move(hint));
    }
    void warning(Position where, std::string what, std::string why = "", std::string hint = "") const {
        diagnostics_.warning(std::move(where), std::move(what), std::move(why), std::move(hint));
    }

    // `what` must be: "name must be a string".
    bool expect(const TomlValue& value, Kind kind, std::string_view what) const;
    // Neither empty nor too long, and no zero byte in it.
    std::optional<Entry> string(const TomlValue& value) const;
    std::optional<Entry> checked_string(const TomlValue& value) const;
    // Of strings; one that is there twice is a warning.
    List list(const TomlValue& member) const;
    // The key `format` at the top, which must be 1.
    void format(const TomlValue& member) const;
    void format_is_missing() const;
    // One of some words; nothing after an error.
    template <class T>
    std::optional<T> choice(const TomlValue& member,
                            std::initializer_list<std::pair<std::string_view, T>> choices) const {
        const auto text = string(member);
        if (!text) return std::nullopt;
        std::vector<std::string_view> names;
        for (const auto& [name, value] : choices) {
            if (name == text->text) return value;
            names.push_back(name);
        }
        not_among(member, *text, names);
        return std::nullopt;
    }

    const std::string& file() const { return file_; }
    Diagnostics& diagnostics() const { return diagnostics_; }

  private:
    void not_among(const TomlValue& member, const Entry& text, const std::vector<std::string_view>& names) const;

    std::string file_;
    Diagnostics& diagnostics_;
    std::size_t most_entries_;
};

}  // namespace bpfwarden
