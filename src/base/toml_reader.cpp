// SPDX-License-Identifier: Apache-2.0
#include "base/toml_reader.hpp"

#include <set>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden {

bool TomlReader::expect(const TomlValue& value, Kind kind, std::string_view what) const {
    if (value.kind == kind) return true;
    error(at(value), fmt::format("{}, not {}", what, value.kind_name()));
    return false;
}

std::optional<Entry> TomlReader::string(const TomlValue& value) const {
    if (!expect(value, Kind::string, fmt::format("{} must be a string", value.key))) return std::nullopt;
    return checked_string(value);
}

std::optional<Entry> TomlReader::checked_string(const TomlValue& value) const {
    if (value.text.empty()) {
        error(at(value), "an empty string means nothing here");
        return std::nullopt;
    }
    if (value.text.size() > longest_string || value.text.find('\0') != std::string::npos) {
        error(at(value), fmt::format("a string of {} bytes cannot stand here", value.text.size()),
              fmt::format("strings have at most {} bytes, none of them zero", longest_string));
        return std::nullopt;
    }
    return Entry{value.text, at(value)};
}

List TomlReader::list(const TomlValue& member) const {
    List out{key_at(member), {}};
    if (member.kind == Kind::string) {
        error(at(member), fmt::format("{} must be a list of strings, not a string", member.key), "",
              fmt::format("write {} = [{}]", member.key, bpfwarden::quoted(member.text)));
        return out;
    }
    if (!expect(member, Kind::array, fmt::format("{} must be a list of strings", member.key))) return out;
    std::set<std::string_view> seen;
    for (const auto& item : member.items) {
        if (out.entries.size() == most_entries_) {
            error(at(item), fmt::format("more than {} entries in {}", most_entries_, member.key));
            break;
        }
        if (!expect(item, Kind::string, fmt::format("{} is a list of strings", member.key))) continue;
        auto entry = checked_string(item);
        if (!entry) continue;
        if (!seen.insert(item.text).second)
            warning(at(item), fmt::format("{} is in {} twice", bpfwarden::quoted(item.text), member.key));
        out.entries.push_back(std::move(*entry));
    }
    return out;
}

void TomlReader::format(const TomlValue& member) const {
    if (expect(member, Kind::integer, "format must be the number 1") && member.integer != 1)
        error(at(member), fmt::format("format {} is not known", member.integer), "this release reads format 1",
              "write format = 1, or use a newer bpfwarden");
}

void TomlReader::format_is_missing() const {
    error({file_, 1, 1}, "format is missing", "it says which version of the language the file is in",
          "start the file with: format = 1");
}

void TomlReader::not_among(const TomlValue& member, const Entry& text,
                           const std::vector<std::string_view>& names) const {
    const auto near = nearest(text.text, names);
    error(text.at, fmt::format("{} cannot be {}", member.key, bpfwarden::quoted(text.text)),
          fmt::format("it is \"{}\"", fmt::join(names, "\" or \"")),
          near ? fmt::format("did you mean \"{}\"?", *near) : "");
}

}  // namespace bpfwarden
