// SPDX-License-Identifier: Apache-2.0
#include "audit/event.hpp"

#include <algorithm>
#include <ctime>

namespace bpfwarden::audit {

const Value* Event::find(std::string_view name) const {
    const auto found = std::ranges::find(fields, name, &Field::name);
    return found == fields.end() ? nullptr : &found->value;
}

std::string Event::text(std::string_view name) const {
    const Value* value = find(name);
    return value == nullptr ? "" : to_text(*value);
}

std::optional<std::uint64_t> Event::number(std::string_view name) const {
    const Value* value = find(name);
    const auto* number = value == nullptr ? nullptr : std::get_if<std::uint64_t>(value);
    return number == nullptr ? std::nullopt : std::optional(*number);
}

std::string to_text(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* number = std::get_if<std::uint64_t>(&value)) return std::to_string(*number);
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    return std::get<bool>(value) ? "true" : "false";
}

static bool is_word_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

bool is_name(std::string_view name) {
    std::size_t depth = 1;
    char before = '.';
    if (name.size() > max_name) return false;
    for (const char c : name) {
        if (c == '.') {
            if (before == '.') return false;
            ++depth;
        } else if (!is_word_letter(c)) {
            return false;
        }
        before = c;
    }
    return before != '.' && depth <= max_depth;
}

static bool is_inside(std::string_view name, std::string_view outer) {
    return name.starts_with(outer) && (name.size() == outer.size() || name[outer.size()] == '.');
}

// Soundness: the daemon puts "session" over what a worker claims. Had the worker written "session.x", the line would
// have two members "session", and two readers could see different ones.
Event& Event::put(std::string_view name, Value value) {
    std::erase_if(fields, [&](const Field& field) {
        return field.name != name && (is_inside(field.name, name) || is_inside(name, field.name));
    });
    const auto found = std::ranges::find(fields, name, &Field::name);
    if (found == fields.end())
        fields.push_back({std::string(name), std::move(value)});
    else
        found->value = std::move(value);
    return *this;
}

bool is_well_formed(const Event& event) {
    static constexpr std::string_view of_every_line[] = {"time", "seq", "event", "schema"};
    if (!is_name(event.kind) || event.kind.contains('.') || event.fields.size() > max_fields) return false;
    for (std::size_t i = 0; i < event.fields.size(); ++i) {
        const std::string_view name = event.fields[i].name;
        if (!is_name(name)) return false;
        for (const auto taken : of_every_line)
            if (is_inside(name, taken)) return false;
        for (std::size_t j = 0; j < i; ++j)
            if (is_inside(name, event.fields[j].name) || is_inside(event.fields[j].name, name)) return false;
    }
    return true;
}

std::uint64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace bpfwarden::audit
