// SPDX-License-Identifier: Apache-2.0
// An event as bytes, for the way from a worker to the daemon on the same machine:
//
//   time_ns:u64  kind:name  { name  tag:u8  value }…        name = length:u8 bytes; numbers in the machine's order
//   tag 1 text = length:u16 bytes · 2 unsigned:u64 · 3 negative:i64 · 4 false · 5 true
//
// The fields end where the record ends. An event has exactly one encoding.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "audit/event.hpp"

namespace bpfwarden::audit {

inline constexpr std::size_t max_record = 8192;
inline constexpr std::size_t max_text = 4096;  // PATH_MAX: longer values are cut

enum class Tag : std::uint8_t { text = 1, number = 2, negative = 3, no = 4, yes = 5 };

// Bytes from anywhere. Total: nullopt for all that is not exactly what EventWriter writes of a well-formed event.
std::optional<Event> decode(std::span<const std::byte> record);
// For tests and slow paths. What is too long is cut as by EventWriter.
std::vector<std::byte> encode(const Event& event);

// Writes an event straight into the caller's buffer: no allocation, no system call.
//
//     std::array<std::byte, max_record> buffer;
//     EventWriter event(buffer, "operation");
//     event.text("verdict", "allowed").number("opener.uid", uid);
//     producer.write(event.bytes());
//
// What does not fit (or a text over max_text) is cut or left out, and the event then ends with truncated = true.
// Names are the caller's constants; they are not checked here, but decode() refuses a record with a wrong one.
class EventWriter {
  public:
    // `buffer` must hold at least 128 bytes, which any name fits.
    explicit EventWriter(std::span<std::byte> buffer, std::string_view kind, std::uint64_t time_ns = now_ns())
        : at_(buffer.data()), begin_(buffer.data()), end_(buffer.data() + buffer.size() - reserve) {
        kind = kind.substr(0, max_name);
        put(&time_ns, sizeof time_ns);
        put_name(kind);
    }

    EventWriter& text(std::string_view name, std::string_view value) {
        const std::size_t before_text = 1 + name.size() + 1 + sizeof(std::uint16_t);
        if (!fits(name, before_text)) return *this;
        const std::size_t room = std::min<std::size_t>(max_text, left() - before_text);
        if (value.size() > room) {
            truncated_ = true;
            value = value.substr(0, room);
        }
        start(name, Tag::text);
        const auto length = static_cast<std::uint16_t>(value.size());
        put(&length, sizeof length);
        put(value.data(), value.size());
        return *this;
    }

    template <std::integral Number>
    EventWriter& number(std::string_view name, Number value) {
        if (!fits(name, 1 + name.size() + 1 + sizeof(std::uint64_t))) return *this;
        bool negative = false;
        if constexpr (std::signed_integral<Number>) negative = value < 0;
        start(name, negative ? Tag::negative : Tag::number);
        // Sign-extended, then the same 64 bits.
        const auto wide = static_cast<std::uint64_t>(value);
        put(&wide, sizeof wide);
        return *this;
    }

    EventWriter& flag(std::string_view name, bool value) {
        if (fits(name, 1 + name.size() + 1)) start(name, value ? Tag::yes : Tag::no);
        return *this;
    }

    // The finished record. Nothing can be added after it.
    std::span<const std::byte> bytes() {
        if (truncated_) {
            end_ += reserve;
            start(truncated_name, Tag::yes);
            truncated_ = false;
        }
        return {begin_, at_};
    }

  private:
    static constexpr std::string_view truncated_name = "truncated";
    static constexpr std::size_t reserve = 1 + truncated_name.size() + 1;

    std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    bool fits(std::string_view name, std::size_t size) {
        if (name.size() <= max_name && size <= left() && fields_ < max_fields - 1) return true;
        truncated_ = true;
        return false;
    }
    void put(const void* bytes, std::size_t size) {
        if (size != 0) std::memcpy(at_, bytes, size);
        at_ += size;
    }
    void put_name(std::string_view name) {
        *at_++ = static_cast<std::byte>(name.size());
        put(name.data(), name.size());
    }
    void start(std::string_view name, Tag tag) {
        put_name(name);
        *at_++ = static_cast<std::byte>(tag);
        ++fields_;
    }

    std::byte* at_;
    std::byte* begin_;
    std::byte* end_;
    std::size_t fields_ = 0;
    bool truncated_ = false;
};

}  // namespace bpfwarden::audit
