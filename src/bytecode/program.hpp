// SPDX-License-Identifier: Apache-2.0
// An eBPF program that stands by itself: instructions, and the constant data and maps that they use. Nothing of it is
// in the kernel.
//
// References are written as the kernel writes them, with numbers of their own: a 64-bit load with source
// BPF_PSEUDO_MAP_FD has an index into `maps` as its first half, one with BPF_PSEUDO_MAP_VALUE an index into `read_only`
// and, as its second half, an offset into that (signed).
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::bytecode {

using Bytes = std::vector<std::uint8_t>;

enum class MapKind : std::uint8_t { hash, array, lpm_trie };

struct MapEntry {
    Bytes key, value;
};

// Read-only, so its contents are known. Those of an array are as many as it has elements, in their order.
struct Map {
    std::string name;
    MapKind kind = MapKind::hash;
    std::uint32_t key_size = 4, value_size = 1;
    std::vector<MapEntry> entries;

    // The entry that bpf_map_lookup_elem() finds. Of a trie: the longest prefix that covers the key.
    std::optional<std::size_t> find(std::span<const std::uint8_t> key) const;
};

struct ReadOnly {
    std::string name;  // of its section
    Bytes bytes;
};

// Where in the source an instruction comes from; it holds up to the next one's.
struct Line {
    std::uint32_t instruction = 0;
    std::string file, text;
    std::uint32_t line = 0;
};

struct Program {
    std::vector<bpf_insn> code;  // starts with the function that is called
    std::vector<Map> maps;
    std::vector<ReadOnly> read_only;
    std::vector<Line> lines;  // by instruction, ascending

    const Line* line_of(std::size_t instruction) const;  // nullptr: not known
};

// Keys and values have the sizes that their maps say, prefixes fit into their keys.
Result<> check(const Program& program);

// Numbers in memory: little-endian.
std::uint64_t number_in(std::span<const std::uint8_t> bytes);
Bytes bytes_of(std::uint64_t number, std::size_t size);
// Does a trie's entry cover the key? Both begin with the length of the prefix in 32 bits.
bool covers(std::span<const std::uint8_t> entry, std::span<const std::uint8_t> key);

}  // namespace bpfwarden::bytecode
