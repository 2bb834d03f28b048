// SPDX-License-Identifier: Apache-2.0
// An ELF object for eBPF, read from memory: sections, symbols, relocations.
//
// This is a reader of its own, not libelf: what it reads comes from strangers, and what it needs of the format is
// little. Every offset is looked at before it is used, nothing is followed in a circle, and nothing is written.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::filter {

using Blob = std::span<const std::uint8_t>;

// A little-endian number at `at`, which must be inside.
template <class T>
T number_at(Blob blob, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t one = 0; one < sizeof(T); ++one) value |= std::uint64_t{blob[at + one]} << (8 * one);
    return static_cast<T>(value);
}
// Is [at, at + size) inside?
constexpr bool is_inside(std::size_t whole, std::uint64_t at, std::uint64_t size) {
    return at <= whole && size <= whole - at;
}
// The text that starts at `at` and ends with a zero byte; empty where there is none. What is longer than anyone names
// anything is cut.
std::string_view text_at(Blob strings, std::uint64_t at);

struct ElfSection {
    std::string_view name;
    std::uint32_t type = 0;
    std::uint64_t flags = 0;
    Blob bytes;  // none for SHT_NOBITS
    std::uint32_t link = 0, info = 0;
    std::uint64_t entry_size = 0;
};
struct ElfSymbol {
    std::string_view name;
    std::uint8_t type = 0;      // STT_…
    std::uint16_t section = 0;  // SHN_UNDEF: not in this object
    std::uint64_t value = 0, size = 0;
};
struct ElfRelocation {
    std::uint64_t offset = 0;
    std::uint32_t type = 0;
    std::uint32_t symbol = 0;  // an index that exists
};

class ElfFile {
  public:
    // `bytes` must live as long.
    static Result<ElfFile> read(Blob bytes);

    const std::vector<ElfSection>& sections() const { return sections_; }
    const std::vector<ElfSymbol>& symbols() const { return symbols_; }
    // 0, which is none: there is no such section.
    std::size_t find(std::string_view name) const;
    // Of a section, by offset.
    const std::vector<ElfRelocation>& relocations(std::size_t section) const { return relocations_[section]; }

  private:
    std::vector<ElfSection> sections_;
    std::vector<ElfSymbol> symbols_;
    std::vector<std::vector<ElfRelocation>> relocations_;
};

}  // namespace bpfwarden::filter
