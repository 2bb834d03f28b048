// SPDX-License-Identifier: Apache-2.0
#include "audit/time.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "base/text.hpp"

namespace bpfwarden::audit {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

// Takes `digits` digits off the front.
std::optional<unsigned> take_digits(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return std::nullopt;
    unsigned number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + static_cast<unsigned>(c - '0');
    }
    text.remove_prefix(digits);
    return number;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || !any_of.contains(text.front())) return false;
    text.remove_prefix(1);
    return true;
}

// "HH:MM", in minutes.
std::optional<unsigned> take_minutes(std::string_view& text) {
    const auto hours = take_digits(text, 2);
    if (!hours || *hours > 23 || !take(text, ":")) return std::nullopt;
    const auto minutes = take_digits(text, 2);
    if (!minutes || *minutes > 59) return std::nullopt;
    return *hours * 60 + *minutes;
}

// The fraction of a second after its point, in nanoseconds.
std::optional<std::uint64_t> take_fraction(std::string_view& text) {
    std::uint64_t ns = 0, unit = second;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9' && unit > 1) {
        unit /= 10;
        ns += unit * static_cast<std::uint64_t>(text.front() - '0');
        text.remove_prefix(1);
    }
    if (unit == second) return std::nullopt;
    return ns;
}

std::optional<std::uint64_t> parse(std::string_view text) {
    using namespace std::chrono;
    const auto year_number = take_digits(text, 4);
    if (!year_number || !take(text, "-")) return std::nullopt;
    const auto month_number = take_digits(text, 2);
    if (!month_number || !take(text, "-")) return std::nullopt;
    const auto day_number = take_digits(text, 2);
    if (!day_number || !take(text, "Tt ")) return std::nullopt;
    const year_month_day date(year(static_cast<int>(*year_number)), month(*month_number), day(*day_number));
    const auto minutes_of_day = take_minutes(text);
    if (!date.ok() || !minutes_of_day || !take(text, ":")) return std::nullopt;
    const auto seconds_number = take_digits(text, 2);
    if (!seconds_number || *seconds_number > 60) return std::nullopt;  // 60: a leap second
    std::uint64_t ns = 0;
    if (take(text, ".")) {
        const auto fraction = take_fraction(text);
        if (!fraction) return std::nullopt;
        ns = *fraction;
    }
    std::int64_t offset = 0;
    if (!take(text, "Zz")) {
        const bool west = text.starts_with('-');
        if (!take(text, "+-")) return std::nullopt;
        const auto behind = take_minutes(text);
        if (!behind) return std::nullopt;
        offset = west ? -std::int64_t{*behind} : std::int64_t{*behind};
    }
    if (!text.empty()) return std::nullopt;
    const std::int64_t days = sys_days(date).time_since_epoch().count();
    const std::int64_t seconds = days * 86400 + (std::int64_t{*minutes_of_day} - offset) * 60 + *seconds_number;
    std::uint64_t whole = 0;
    if (seconds < 0 || __builtin_mul_overflow(static_cast<std::uint64_t>(seconds), second, &whole) ||
        __builtin_add_overflow(whole, ns, &whole))
        return std::nullopt;  // before 1970 or after 2554
    return whole;
}

Error not_a_time(std::string_view text) {
    return Error(Code::bad_input, fmt::format("{} is not a point in time", quoted(text)))
        .because("a point in time is written as in RFC 3339, with an offset or Z")
        .advise("write \"2026-03-14T09:26:53Z\", for example");
}

}  // namespace

std::string format_time(std::uint64_t ns_since_1970) {
    using namespace std::chrono;
    const auto seconds = static_cast<std::int64_t>(ns_since_1970 / second);
    const sys_days days{std::chrono::days{seconds / 86400}};
    const year_month_day date(days);
    const auto of_day = seconds % 86400;
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), of_day / 3600,
                       of_day / 60 % 60, of_day % 60, ns_since_1970 % second);
}

Result<std::uint64_t> parse_time(std::string_view text) {
    if (const auto time = parse(text)) return *time;
    return fail(not_a_time(text));
}

Result<std::uint64_t> parse_time_or_age(std::string_view text, std::uint64_t now_ns) {
    if (const auto time = parse(text)) return *time;
    std::uint64_t age = 0;
    const auto ms = parse_duration_ms(text);
    if (!ms)
        return fail(not_a_time(text).advise("write \"2026-03-14T09:26:53Z\", or how long ago: \"10m\", \"1h30m\""));
    if (__builtin_mul_overflow(*ms, 1'000'000U, &age) || age > now_ns) return 0;
    return now_ns - age;
}

}  // namespace bpfwarden::audit
