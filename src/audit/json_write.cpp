// SPDX-License-Identifier: Apache-2.0
// Written by hand, not with nlohmann-json: the daemon does this for every event.
#include <fmt/format.h>

#include <array>
#include <iterator>

#include "audit/escape.hpp"
#include "audit/json.hpp"
#include "audit/time.hpp"

namespace bpfwarden::audit {
namespace {

void write_text(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : escape(text)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

void write_value(std::string& out, const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value))
        write_text(out, *text);
    else
        out += to_text(value);
}

// The members of the group `prefix` ("opener.", or "" for the line itself) from field `from` on.
void write_group(std::string& out, const std::vector<Field>& fields, std::vector<bool>& written, std::size_t from,
                 std::string_view prefix) {
    bool first = !prefix.empty();
    for (std::size_t i = from; i < fields.size(); ++i) {
        const std::string_view name = fields[i].name;
        if (written[i] || !name.starts_with(prefix)) continue;
        if (!first) out += ',';
        first = false;
        const auto dot = name.find('.', prefix.size());
        write_text(out, name.substr(prefix.size(), dot == std::string_view::npos ? dot : dot - prefix.size()));
        out += ':';
        if (dot == std::string_view::npos) {
            written[i] = true;
            write_value(out, fields[i].value);
        } else {
            out += '{';
            write_group(out, fields, written, i, name.substr(0, dot + 1));
            out += '}';
        }
    }
}

}  // namespace

std::string to_json(const Event& event) {
    auto out = fmt::format(R"({{"time":"{}","seq":{},"event":)", format_time(event.time_ns), event.seq);
    write_text(out, event.kind);
    std::vector<bool> written(event.fields.size());
    write_group(out, event.fields, written, 0, "");
    out += '}';
    return out;
}

}  // namespace bpfwarden::audit
