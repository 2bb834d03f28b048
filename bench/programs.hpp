// SPDX-License-Identifier: Apache-2.0
// The XDP programs that the benchmark loads.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <vector>

namespace bpfwarden::bench {

using Code = std::vector<bpf_insn>;

namespace insn {

inline bpf_insn make(unsigned code, unsigned dst, unsigned src, int off, int imm) {
    return {.code = static_cast<std::uint8_t>(code),
            .dst_reg = static_cast<std::uint8_t>(dst & 15),
            .src_reg = static_cast<std::uint8_t>(src & 15),
            .off = static_cast<std::int16_t>(off),
            .imm = imm};
}
inline bpf_insn move(unsigned dst, int imm) { return make(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
inline bpf_insn copy(unsigned dst, unsigned src) { return make(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0); }
inline bpf_insn add(unsigned dst, int imm) { return make(BPF_ALU64 | BPF_ADD, dst, 0, 0, imm); }  // BPF_K is 0
inline bpf_insn exit() { return make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

}  // namespace insn

// return XDP_PASS: what is left is the cost of the call itself.
inline Code small_program(int /*map*/) { return {insn::move(BPF_REG_0, XDP_PASS), insn::exit()}; }

// What packet programs do, unrolled to some hundred instructions: look at a byte of the packet behind a bounds check,
// branch on it, and now and then count in a map. In the last `indexed` of those maps' values at an offset that only
// the program's run decides: without CAP_PERFMON the verifier masks it, and follows what a mispredicted run could do.
inline Code packet_program(int map, int indexed) {
    using namespace insn;
    constexpr int bytes = 48, lookup_every = 12;
    Code code{make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_1, 0, 0),  // data
              make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_1, 4, 0),  // data_end
              move(BPF_REG_8, 0)};
    std::vector<std::size_t> leaves;  // jumps to the end, patched below
    for (int at = 0; at < bytes; ++at) {
        code.push_back(copy(BPF_REG_2, BPF_REG_6));
        code.push_back(add(BPF_REG_2, at + 1));
        leaves.push_back(code.size());
        code.push_back(make(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_7, 0, 0));
        code.push_back(make(BPF_LDX | BPF_MEM | BPF_B, BPF_REG_3, BPF_REG_6, at, 0));
        code.push_back(make(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_3, 0, 1, at));
        code.push_back(make(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_8, BPF_REG_3, 0, 0));
        if (at % lookup_every != lookup_every - 1) continue;
        const bool at_offset = at + lookup_every * indexed >= bytes;
        code.push_back(make(BPF_LDX | BPF_MEM | BPF_B, BPF_REG_9, BPF_REG_6, at, 0));
        code.push_back(make(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, at));
        code.push_back(copy(BPF_REG_2, BPF_REG_10));
        code.push_back(add(BPF_REG_2, -4));
        code.push_back(make(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map));
        code.push_back(make(0, 0, 0, 0, 0));
        code.push_back(make(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem));
        code.push_back(make(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, at_offset ? 5 : 4, 0));
        code.push_back(make(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_9, 0, 0, 3));
        if (at_offset) code.push_back(make(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_0, BPF_REG_9, 0, 0));
        code.push_back(make(BPF_LDX | BPF_MEM | BPF_B, BPF_REG_1, BPF_REG_0, 0, 0));
        code.push_back(add(BPF_REG_1, 1));
        code.push_back(make(BPF_STX | BPF_MEM | BPF_B, BPF_REG_0, BPF_REG_1, 0, 0));
    }
    for (const auto leave : leaves) code[leave].off = static_cast<std::int16_t>(code.size() - leave - 1);
    code.push_back(move(BPF_REG_0, XDP_PASS));
    code.push_back(exit());
    return code;
}

inline Code large_program(int map) { return packet_program(map, 0); }
inline Code indexed_program(int map) { return packet_program(map, 1); }

}  // namespace bpfwarden::bench
