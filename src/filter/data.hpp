// SPDX-License-Identifier: Apache-2.0
// What a filter decides about: struct seccomp_data, as the 16 words that classic BPF can load of it.
#pragma once

#include <array>
#include <cstdint>

namespace bpfwarden::filter {

// By their order in memory on a little-endian machine. The number of a word is its offset divided by four.
enum class Word : std::uint8_t {
    nr,
    arch,
    ip_low,
    ip_high,
    arg0_low,
    arg0_high,
    arg1_low,
    arg1_high,
    arg2_low,
    arg2_high,
    arg3_low,
    arg3_high,
    arg4_low,
    arg4_high,
    arg5_low,
    arg5_high,
};
inline constexpr unsigned word_count = 16;

constexpr Word arg_low(unsigned argument) { return static_cast<Word>(4 + 2 * argument); }
constexpr Word arg_high(unsigned argument) { return static_cast<Word>(5 + 2 * argument); }

struct Data {
    std::array<std::uint32_t, word_count> words{};

    std::uint32_t& operator[](Word word) { return words[static_cast<std::size_t>(word)]; }
    std::uint32_t operator[](Word word) const { return words[static_cast<std::size_t>(word)]; }
    void set_arg(unsigned argument, std::uint64_t value) {
        (*this)[arg_low(argument)] = static_cast<std::uint32_t>(value);
        (*this)[arg_high(argument)] = static_cast<std::uint32_t>(value >> 32);
    }
    std::uint64_t arg(unsigned argument) const {
        return std::uint64_t{(*this)[arg_high(argument)]} << 32 | (*this)[arg_low(argument)];
    }
    bool operator==(const Data&) const = default;
};

}  // namespace bpfwarden::filter
