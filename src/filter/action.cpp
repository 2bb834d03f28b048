// SPDX-License-Identifier: Apache-2.0
#include "filter/action.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <utility>

namespace bpfwarden::filter {

namespace {

struct Name {
    std::uint32_t action;
    std::string_view name;
    bool has_data;
};
// The first name of each action is the one that is written.
constexpr Name names[] = {
    {SECCOMP_RET_KILL_PROCESS, "KILL_PROCESS", false},
    {SECCOMP_RET_KILL_THREAD, "KILL_THREAD", false},
    {SECCOMP_RET_TRAP, "TRAP", true},
    {SECCOMP_RET_ERRNO, "ERRNO", true},
    {SECCOMP_RET_USER_NOTIF, "USER_NOTIF", false},
    {SECCOMP_RET_TRACE, "TRACE", true},
    {SECCOMP_RET_LOG, "LOG", false},
    {SECCOMP_RET_ALLOW, "ALLOW", false},
    {SECCOMP_RET_KILL_THREAD, "KILL", false},
    {SECCOMP_RET_USER_NOTIF, "NOTIFY", false},
};
constexpr std::uint32_t largest_errno = 4095;

const Name* name_of(std::uint32_t value) {
    const auto* at = std::ranges::find(names, value & action_mask, &Name::action);
    return at == std::end(names) ? nullptr : at;
}

bool same_letters(std::string_view one, std::string_view other) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
    return std::ranges::equal(one, other, {}, upper, upper);
}

}  // namespace

bool is_action(std::uint32_t value) { return name_of(value) != nullptr; }

std::uint32_t normalized(std::uint32_t value) {
    const auto* name = name_of(value);
    if (name == nullptr) return value;
    if (!name->has_data) return name->action;
    if (name->action == SECCOMP_RET_ERRNO) return name->action | std::min(value & 0xffffU, largest_errno);
    return value;
}

bool outranks(std::uint32_t one, std::uint32_t other) {
    return static_cast<std::int32_t>(one & action_mask) < static_cast<std::int32_t>(other & action_mask);
}

std::string text(std::uint32_t value) {
    const auto* name = name_of(value);
    if (name == nullptr) return fmt::format("{:#010x}", value);
    const std::uint32_t data = value & ~action_mask;
    if (!name->has_data && data == 0) return std::string(name->name);
    if (name->action == SECCOMP_RET_ERRNO)
        if (const char* error = data != 0 ? ::strerrorname_np(static_cast<int>(data)) : nullptr)
            return fmt::format("ERRNO({})", error);
    return fmt::format("{}({})", name->name, data);
}

std::optional<std::uint32_t> parse_errno(std::string_view text) {
    std::uint32_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem == std::errc{} && end == text.data() + text.size()) {
        if (number > 0xffff) return std::nullopt;
        return number;
    }
    constexpr std::pair<std::string_view, std::uint32_t> other_names[] = {
        {"EWOULDBLOCK", EWOULDBLOCK}, {"EDEADLOCK", EDEADLOCK}, {"ENOTSUP", ENOTSUP}};
    for (const auto& [name, other] : other_names)
        if (same_letters(name, text)) return other;
    for (int one = 1; one < 134; ++one)
        if (const char* name = ::strerrorname_np(one); name != nullptr && same_letters(name, text))
            return static_cast<std::uint32_t>(one);
    return std::nullopt;
}

std::optional<std::uint32_t> parse_action(std::string_view text) {
    constexpr std::string_view prefixes[] = {"SECCOMP_RET_", "SCMP_ACT_"};
    for (const auto prefix : prefixes)
        if (text.size() > prefix.size() && same_letters(text.substr(0, prefix.size()), prefix))
            text.remove_prefix(prefix.size());
    const auto cut = text.find_first_of("( ");
    auto data = cut == std::string_view::npos ? std::string_view() : text.substr(cut + 1);
    if (cut != std::string_view::npos && text[cut] == '(') {
        if (!data.ends_with(')')) return std::nullopt;
        data.remove_suffix(1);
    }
    const auto word = text.substr(0, cut);
    const auto* name = std::ranges::find_if(names, [&](const Name& one) { return same_letters(one.name, word); });
    if (name == std::end(names)) return std::nullopt;
    if (data.empty()) {
        if (cut != std::string_view::npos) return std::nullopt;
        return name->action == SECCOMP_RET_ERRNO ? error_of(EPERM) : name->action;
    }
    if (!name->has_data) return std::nullopt;
    const auto number = parse_errno(data);
    if (!number) return std::nullopt;
    return name->action | *number;
}

}  // namespace bpfwarden::filter
