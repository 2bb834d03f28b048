// SPDX-License-Identifier: Apache-2.0
// Instructions for the tests, put together by hand.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace bpfwarden::bytecode {

using Stream = std::vector<bpf_insn>;

constexpr bpf_insn insn(unsigned code, unsigned dst, unsigned src, int off, std::int64_t imm) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = dst & 0xfU;
    made.src_reg = src & 0xfU;
    made.off = static_cast<__s16>(off);
    made.imm = static_cast<__s32>(imm);
    return made;
}
constexpr bpf_insn move(unsigned dst, std::int32_t imm) { return insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
constexpr bpf_insn call(std::int64_t helper) { return insn(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
constexpr bpf_insn call_kfunc(std::int64_t id, int module = 0) {
    return insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, module, id);
}
constexpr bpf_insn call_own(std::int32_t distance) { return insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, distance); }
constexpr bpf_insn jump(int distance) { return insn(BPF_JMP | BPF_JA, 0, 0, distance, 0); }
constexpr bpf_insn jump_if_zero(int distance) { return insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, distance, 0); }
constexpr bpf_insn leave() { return insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

// A 64-bit load, both halves.
inline Stream wide(unsigned source, std::int64_t low, std::int64_t high = 0) {
    return {insn(BPF_LD | BPF_IMM | BPF_DW, 1, source, 0, low), insn(0, 0, 0, 0, high)};
}

inline Stream join(std::initializer_list<Stream> parts) {
    Stream all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}
// `body`, and what makes a whole program of it.
inline Stream program(std::initializer_list<Stream> body) { return join({join(body), {move(0, 0), leave()}}); }

}  // namespace bpfwarden::bytecode
