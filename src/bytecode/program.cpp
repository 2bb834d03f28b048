// SPDX-License-Identifier: Apache-2.0
#include "bytecode/program.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace bpfwarden::bytecode {

// More would not fit into a filter.
static constexpr std::size_t most_entries = 65'536;
static constexpr std::uint32_t most_key = 256, most_value = 4096;

static Result<> check(const Map& map) {
    const auto wrong = [&](std::string_view why) {
        return fail(
            Error(Code::bad_input, fmt::format("the map `{}` cannot be used", map.name)).because(std::string(why)));
    };
    if (map.key_size == 0 || map.key_size > most_key || map.value_size > most_value)
        return wrong(fmt::format("its keys have {} bytes and its values {}; they may have 1 to {}, and up to {}",
                                 map.key_size, map.value_size, most_key, most_value));
    if (map.entries.size() > most_entries) return wrong(fmt::format("it has more than {} entries", most_entries));
    if (map.kind == MapKind::array && map.key_size != 4) return wrong("the index of an array has 4 bytes");
    if (map.kind == MapKind::lpm_trie && map.key_size < 5) return wrong("the key of a trie has more than 4 bytes");
    for (const auto& entry : map.entries) {
        if (entry.key.size() != map.key_size || entry.value.size() != map.value_size)
            return wrong("an entry has another size than the map says");
        if (map.kind == MapKind::lpm_trie &&
            number_in(std::span(entry.key).first(4)) > 8 * std::uint64_t{map.key_size - 4})
            return wrong("a prefix is longer than its key");
    }
    return {};
}

Result<> check(const Program& program) {
    for (const auto& map : program.maps) BW_TRY(check(map));
    return {};
}

std::uint64_t number_in(std::span<const std::uint8_t> bytes) {
    std::uint64_t number = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at) number |= std::uint64_t{bytes[at]} << (8 * at);
    return number;
}

Bytes bytes_of(std::uint64_t number, std::size_t size) {
    Bytes bytes(size);
    for (std::size_t at = 0; at < std::min<std::size_t>(size, 8); ++at)
        bytes[at] = static_cast<std::uint8_t>(number >> (8 * at));
    return bytes;
}

bool covers(std::span<const std::uint8_t> entry, std::span<const std::uint8_t> key) {
    const std::uint64_t length = number_in(entry.first(4));
    if (length > number_in(key.first(4))) return false;
    for (std::uint64_t bit = 0; bit < length; ++bit) {
        const std::size_t at = 4 + bit / 8;
        if (((entry[at] ^ key[at]) & (0x80U >> (bit % 8))) != 0) return false;
    }
    return true;
}

std::optional<std::size_t> Map::find(std::span<const std::uint8_t> key) const {
    if (kind == MapKind::array) {
        const std::uint64_t index = number_in(key);
        if (index >= entries.size()) return std::nullopt;
        return index;
    }
    if (kind == MapKind::hash) {
        const auto at =
            std::ranges::find_if(entries, [&](const auto& one) { return std::ranges::equal(one.key, key); });
        if (at == entries.end()) return std::nullopt;
        return at - entries.begin();
    }
    // The kernel takes no key with a longer prefix than there are bits.
    if (number_in(key.first(4)) > 8 * (key.size() - 4)) return std::nullopt;
    std::optional<std::size_t> best;
    for (std::size_t at = 0; at < entries.size(); ++at) {
        if (!covers(entries[at].key, key)) continue;
        const auto length = [&](std::size_t of) { return number_in(std::span(entries[of].key).first(4)); };
        if (!best || length(at) > length(*best)) best = at;
    }
    return best;
}

const Line* Program::line_of(std::size_t instruction) const {
    const auto after = std::ranges::upper_bound(lines, instruction, {}, &Line::instruction);
    return after == lines.begin() ? nullptr : &*(after - 1);
}

}  // namespace bpfwarden::bytecode
