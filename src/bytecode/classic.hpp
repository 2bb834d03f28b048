// SPDX-License-Identifier: Apache-2.0
// Classic BPF as seccomp runs it: what a kernel takes, what a program returns, and what it costs. A program looks at
// the 16 words of struct seccomp_data and returns an action.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::bytecode {

using Classic = std::span<const sock_filter>;

namespace classic {

inline constexpr std::size_t max_instructions = 4096;  // BPF_MAXINSNS
inline constexpr unsigned scratch_words = 16;          // BPF_MEMWORDS
inline constexpr unsigned data_bytes = 64;             // sizeof(struct seccomp_data); what LEN loads
// Offsets of the only two words that the kernel's emulator knows.
inline constexpr std::uint32_t nr_offset = 0, arch_offset = 4;

// Opcodes by name, as they stand in sock_filter::code.
enum Op : std::uint16_t {
    load_word = BPF_LD | BPF_W | BPF_ABS,
    load_constant = BPF_LD | BPF_IMM,
    load_length = BPF_LD | BPF_W | BPF_LEN,
    load_scratch = BPF_LD | BPF_MEM,
    load_x_constant = BPF_LDX | BPF_IMM,
    load_x_length = BPF_LDX | BPF_W | BPF_LEN,
    load_x_scratch = BPF_LDX | BPF_MEM,
    store = BPF_ST,
    store_x = BPF_STX,
    to_x = BPF_MISC | BPF_TAX,
    from_x = BPF_MISC | BPF_TXA,
    negate = BPF_ALU | BPF_NEG,
    jump = BPF_JMP | BPF_JA,
    jump_equal = BPF_JMP | BPF_JEQ | BPF_K,
    jump_greater = BPF_JMP | BPF_JGT | BPF_K,
    jump_not_less = BPF_JMP | BPF_JGE | BPF_K,
    jump_any_bit = BPF_JMP | BPF_JSET | BPF_K,
    return_constant = BPF_RET | BPF_K,
    return_a = BPF_RET | BPF_A,
};

constexpr unsigned class_of(const sock_filter& insn) { return insn.code & 0x07U; }
constexpr unsigned operation_of(const sock_filter& insn) { return insn.code & 0xf0U; }
constexpr bool takes_x(const sock_filter& insn) { return (insn.code & BPF_X) != 0; }
constexpr bool is_conditional(const sock_filter& insn) {
    return class_of(insn) == BPF_JMP && operation_of(insn) != BPF_JA;
}
// Neither way is the next instruction, or it has no opposite: eBPF needs a second jump, to where it goes if it is
// false.
constexpr bool needs_two_jumps(const sock_filter& insn) {
    return is_conditional(insn) && insn.jf != 0 && (insn.jt != 0 || operation_of(insn) == BPF_JSET);
}
constexpr bool is_return(const sock_filter& insn) { return class_of(insn) == BPF_RET; }

}  // namespace classic

// Exactly what seccomp(2) takes: both checks of the kernel, that of all classic programs (bpf_check_classic) and
// seccomp's own (seccomp_check_filter). Names the first instruction that is refused (errno EINVAL).
Result<> check(Classic program);

using Words = std::span<const std::uint32_t, 16>;

struct Outcome {
    std::uint32_t result = 0;
    std::uint32_t executed = 0;   // instructions
    std::uint32_t converted = 0;  // of the eBPF that the kernel makes of it, its prologue too
};
// Runs what check() took. `path`: the instructions that were executed, in order.
Outcome run(Classic program, Words words, std::vector<std::uint32_t>* path = nullptr);

// What the kernel's emulator (seccomp_is_const_allow, 5.11) finds out of the two words that it knows: the constant that
// is returned, or nothing if anything else is needed, or if it does not understand an instruction.
std::optional<std::uint32_t> constant_action(Classic program, std::uint32_t arch, std::uint32_t nr);
// Whether there are kernels that keep a bit for this number: those of a native table and of one compat table. x32 has
// none, as its bit 30 makes the numbers too large, nor has any negative number.
bool has_cache_bit(std::uint32_t arch, std::uint32_t nr);
// Allowed without running the filter.
bool cached(Classic program, std::uint32_t arch, std::uint32_t nr);

// Instructions of the eBPF that the kernel makes of a program (bpf_convert_filter); limits count these.
std::size_t converted_length(Classic program);
// Of one instruction.
unsigned converted_length(const sock_filter& insn);
inline constexpr unsigned converted_prologue = 3;

}  // namespace bpfwarden::bytecode
