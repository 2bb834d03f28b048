// SPDX-License-Identifier: Apache-2.0
// One audit event: what kind, when, and named values. Producers fill it; nothing here knows what the names mean
// (docs/audit.md has those of the broker).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bpfwarden::audit {

// A signed value is negative: what is not is always held unsigned, so that equal numbers are equal values.
using Value = std::variant<std::string, std::uint64_t, std::int64_t, bool>;

struct Field {
    std::string name;  // "opener.uid"; see is_name()
    Value value;
    bool operator==(const Field&) const = default;
};

struct Event {
    std::string kind;           // "operation", "gap"; as a name without dots
    std::uint64_t time_ns = 0;  // CLOCK_REALTIME
    std::uint64_t seq = 0;      // daemon-wide, given by Log; 0 before
    std::vector<Field> fields;

    // Sets a field in place of what has its name, or is inside it ("a.b" for "a"), or around it: how the daemon puts
    // what it knows over what a worker claims.
    Event& set(std::string_view name, std::string_view text) { return put(name, Value(std::string(text))); }
    Event& set(std::string_view name, const char* text) { return set(name, std::string_view(text)); }
    Event& set(std::string_view name, const std::string& text) { return set(name, std::string_view(text)); }
    Event& set(std::string_view name, std::same_as<bool> auto flag) { return put(name, Value(flag)); }
    template <std::integral Number>
        requires(!std::same_as<Number, bool>)
    Event& set(std::string_view name, Number number) {
        if constexpr (std::signed_integral<Number>)
            if (number < 0) return put(name, Value(std::int64_t{number}));
        return put(name, Value(static_cast<std::uint64_t>(number)));
    }

    const Value* find(std::string_view name) const;
    // The value as text, numbers as digits; empty if there is none.
    std::string text(std::string_view name) const;
    std::optional<std::uint64_t> number(std::string_view name) const;

    bool operator==(const Event&) const = default;

  private:
    Event& put(std::string_view name, Value value);
};

std::string to_text(const Value& value);

inline constexpr std::size_t max_name = 63, max_depth = 4, max_fields = 64;

// Words of small letters, digits and '_', with single dots between: at most max_depth words and max_name bytes.
bool is_name(std::string_view name);
// Whether the event can be an object of objects: every name is_name(), none twice, none inside a value ("a" and "a.b"),
// none of those that every line has (time, seq, event, schema).
bool is_well_formed(const Event& event);

// CLOCK_REALTIME now; through the vDSO, so no system call.
std::uint64_t now_ns();

}  // namespace bpfwarden::audit
