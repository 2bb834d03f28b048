// SPDX-License-Identifier: Apache-2.0
// Bodies of messages: numbers in the machine's byte order (both ends are on one machine), texts and byte strings with
// their length before them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bpfwarden::wire {

using Bytes = std::span<const std::byte>;

inline Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

class Writer {
  public:
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void number(T value) {
        raw(std::as_bytes(std::span(&value, 1)));
    }
    void text(std::string_view value) { block(bytes_of(value)); }
    void block(Bytes value) {
        number(static_cast<std::uint32_t>(value.size()));
        raw(value);
    }
    void raw(Bytes value) {
        // Not insert(): g++ 12 warns about it falsely, where it is inlined.
        const auto at = bytes_.size();
        bytes_.resize(at + value.size());
        if (!value.empty()) std::memcpy(bytes_.data() + at, value.data(), value.size());
    }
    // Room for a block of this size, to be filled before anything else is written.
    std::span<std::byte> room(std::size_t size) {
        number(static_cast<std::uint32_t>(size));
        bytes_.resize(bytes_.size() + size);
        return std::span(bytes_).last(size);
    }
    void clear() { bytes_.clear(); }
    Bytes bytes() const { return bytes_; }
    // Writes over what is there; `at` and what is behind it must be.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void replace(std::size_t at, T value) {
        std::memcpy(bytes_.data() + at, &value, sizeof value);
    }

  private:
    std::vector<std::byte> bytes_;
};

// Reads what a Writer wrote, or what somebody claims to have. A read past the end gives zeros and is remembered: ask
// ok() once, before anything of it is used.
class Reader {
  public:
    explicit Reader(Bytes bytes) : rest_(bytes) {}

    template <class T>
        requires std::is_trivially_copyable_v<T>
    T number() {
        T value{};
        const auto from = raw(sizeof value);
        if (!from.empty()) std::memcpy(&value, from.data(), sizeof value);
        return value;
    }
    std::string text() {
        const auto from = block();
        return {reinterpret_cast<const char*>(from.data()), from.size()};
    }
    Bytes block() { return raw(number<std::uint32_t>()); }
    Bytes raw(std::size_t size) {
        if (size > rest_.size()) {
            broken_ = true;
            rest_ = {};
            return {};
        }
        const auto taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    bool ok() const { return !broken_; }
    // All of it was read, and nothing more was asked for.
    bool done() const { return ok() && rest_.empty(); }

  private:
    Bytes rest_;
    bool broken_ = false;
};

}  // namespace bpfwarden::wire
