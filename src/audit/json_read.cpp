// SPDX-License-Identifier: Apache-2.0
// The only file here that sees nlohmann-json (4 s to compile).
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "audit/escape.hpp"
#include "audit/json.hpp"
#include "audit/time.hpp"

namespace bpfwarden::audit {
namespace {

using nlohmann::ordered_json;

std::string dumped(const ordered_json& json) {
    return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void add_fields(Event& event, const std::string& prefix, const ordered_json& object, std::size_t depth) {
    for (const auto& [key, value] : object.items()) {
        const auto name = prefix + unescape(key);
        if (value.is_object() && depth < max_depth)
            add_fields(event, name + ".", value, depth + 1);
        else if (value.is_string())
            event.set(name, unescape(value.get_ref<const std::string&>()));
        else if (value.is_boolean())
            event.set(name, value.get<bool>());
        else if (value.is_number_unsigned())
            event.set(name, value.get<std::uint64_t>());
        else if (value.is_number_integer())
            event.set(name, value.get<std::int64_t>());
        else if (!value.is_null())
            event.set(name, dumped(value));
    }
}

Failure not_an_event(std::string why) {
    return fail(Error(Code::bad_input, "not an audit event").because(std::move(why)));
}

}  // namespace

Result<Event> from_json(std::string_view line) {
    auto json = ordered_json::parse(line, nullptr, false);
    if (json.is_discarded()) return not_an_event("it is not JSON");
    if (!json.is_object()) return not_an_event("it is not an object");
    const auto time = json.find("time"), kind = json.find("event"), seq = json.find("seq");
    if (kind == json.end() || !kind->is_string()) return not_an_event("it has no event");
    if (time == json.end() || !time->is_string()) return not_an_event("it has no time");
    if (seq != json.end() && !seq->is_number_unsigned()) return not_an_event("its seq is no number");
    Event event;
    event.kind = unescape(kind->get_ref<const std::string&>());
    event.time_ns = BW_TRY(parse_time(time->get_ref<const std::string&>()));
    if (seq != json.end()) event.seq = seq->get<std::uint64_t>();
    for (const auto* of_every_line : {"time", "event", "seq", "schema"}) json.erase(of_every_line);
    add_fields(event, "", json, 1);
    return event;
}

}  // namespace bpfwarden::audit
