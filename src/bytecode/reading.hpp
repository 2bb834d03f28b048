// SPDX-License-Identifier: Apache-2.0
// What an instruction stream asks the kernel for: everything in BPF_PROG_LOAD that a grant can allow or not and that is
// written in the instructions.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::bytecode {

struct Kfunc {
    std::uint32_t id = 0;      // BTF id of a FUNC
    std::uint16_t module = 0;  // 0: of vmlinux; else the index into fd_array of the module's BTF

    auto operator<=>(const Kfunc&) const = default;
};

// How a 64-bit load names a map: by fd or by index into fd_array (5.14); the map itself or the address of its value.
enum class MapBy : std::uint8_t { fd, fd_value, index, index_value };

struct MapReference {
    std::uint32_t instruction = 0;
    MapBy by = MapBy::fd;
    std::uint32_t number = 0;  // fd (as the kernel reads it, int) or index
    std::uint32_t offset = 0;  // into the value

    bool operator==(const MapReference&) const = default;
};

// A ksym with a type: the address of a variable of the kernel or of a module (5.10), or whether a kfunc is there. One
// without a type is no reference: libbpf writes its address in, as a number like any other.
struct KernelSymbol {
    std::uint32_t instruction = 0;
    std::uint32_t id = 0;      // BTF id of a VAR, or of a FUNC
    std::uint32_t btf_fd = 0;  // 0: of vmlinux

    bool operator==(const KernelSymbol&) const = default;
};

struct Reading {
    std::uint32_t instructions = 0;
    std::uint32_t subprograms = 1;       // with the main one
    std::vector<std::uint32_t> helpers;  // by number, ascending, each once; 0 (BPF_FUNC_unspec) too
    std::vector<Kfunc> kfuncs;           // ascending, each once
    std::vector<MapReference> maps;      // in order of the instructions, each use
    std::vector<KernelSymbol> symbols;   // in order of the instructions, each use
    std::uint32_t calls = 0;             // of functions of its own (bpf2bpf)
    std::uint32_t callbacks = 0;         // functions of its own whose address is taken
    // Calls that no kernel loads a program with unless it finds that they cannot be reached: helper numbers from
    // first_poison on, and kfunc 0 of vmlinux. libbpf leaves them behind `if (bpf_ksym_exists(…))`.
    std::uint32_t poisoned = 0;
    bool jumps_back = false;           // some jump, to itself or further back
    bool may_goto = false;             // 6.9
    bool jumps_indirectly = false;     // gotox, 6.19
    bool casts_address_space = false;  // pointers into an arena, 6.9
    bool reads_packet = false;         // LD_ABS, LD_IND
    bool trivial = false;              // r0 = constant and exit: what libbpf loads to find out whether it can load

    bool operator==(const Reading&) const = default;
};

// Refuses (errno EINVAL, or E2BIG) what is not well formed or not known, naming the first instruction where it is so.
// Linear in the instructions, but for sorting what is found.
Result<Reading> read(std::span<const bpf_insn> code);

}  // namespace bpfwarden::bytecode
