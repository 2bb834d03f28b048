// SPDX-License-Identifier: Apache-2.0
// Just enough eBPF for the probes' programs of a few instructions (bytecode/ is a later layer).
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.hpp"

namespace bpfwarden::kernel {

constexpr bpf_insn insn(unsigned code, unsigned dst, unsigned src, int off, std::int32_t imm) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = dst & 0xf;
    made.src_reg = src & 0xf;
    made.off = static_cast<__s16>(off);
    made.imm = imm;
    return made;
}
constexpr bpf_insn set(unsigned dst, std::int32_t imm) { return insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
constexpr bpf_insn copy(unsigned dst, unsigned src) { return insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0); }
constexpr bpf_insn add(unsigned dst, std::int32_t imm) { return insn(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm); }
constexpr bpf_insn call_helper(std::int32_t id) { return insn(BPF_JMP | BPF_CALL, 0, 0, 0, id); }
constexpr bpf_insn call_kfunc(std::uint32_t btf_id) {
    return insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, static_cast<std::int32_t>(btf_id));
}
constexpr bpf_insn exit_program() { return insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

struct ProgramKind {
    bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
    std::uint32_t attach_type = 0;
    std::uint32_t attach_btf_id = 0;
};
// BPF_PROG_LOAD; on failure an empty fd, and errno.
ProgFd load_program(ProgramKind kind, std::span<const bpf_insn> code);

}  // namespace bpfwarden::kernel
