// SPDX-License-Identifier: Apache-2.0
// One eBPF instruction: what an opcode is, and which of its fields must be zero.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace bpfwarden::bytecode {

// Numbers that the build machine's <linux/bpf.h> may not have. Each is checked against the header where it has it.
inline constexpr std::uint8_t op_jump_condition = 0xe0;      // BPF_JCOND, 6.9: may_goto
inline constexpr std::int16_t address_space_cast = 1;        // BPF_ADDR_SPACE_CAST, 6.9: arena
inline constexpr std::int32_t atomic_load_acquire = 0x100;   // BPF_LOAD_ACQ, 6.15
inline constexpr std::int32_t atomic_store_release = 0x110;  // BPF_STORE_REL, 6.15
// Not in the header at all: the register of arguments after the fifth (BPF_REG_PARAMS, 7.2).
inline constexpr unsigned stack_arguments = 11;
// bpf_map_type, by the kernel that brought it.
inline constexpr std::uint32_t map_type_arena = 33;       // 6.9
inline constexpr std::uint32_t map_type_insn_array = 34;  // 6.19: what indirect jumps jump through

// The most that the verifier takes (BPF_COMPLEXITY_LIMIT_INSNS, 5.2); 4096 without CAP_BPF.
inline constexpr std::size_t max_instructions = 1'000'000;

// From here on no number is a helper, on any kernel: helpers are frozen at about 211 (6.8; new ones are kfuncs), and
// libbpf writes such a number into what it knows to be unreachable: 195896080 for a field that the kernel lacks (a
// CO-RE relocation that failed), 2001000000 + n and 2002000000 + n for maps and kfuncs that are not there.
inline constexpr std::uint32_t first_poison = 195'896'080;

enum class Kind : std::uint8_t {
    unknown,         // no opcode of programs that come from user space
    arithmetic,      // add, sub, …; of 32 and 64 bits
    negate,          //
    byte_swap,       //
    move,            // also with sign extension (6.6), and addr_space_cast
    load,            // from memory; with sign extension 6.6
    store,           // of a register
    store_constant,  //
    atomic,          //
    packet,          // LD_ABS and LD_IND
    wide,            // ld_imm64: two halves
    jump,            // unconditional; goto with 16 bits, gotol with 32 (6.6)
    indirect_jump,   // gotox (6.19)
    conditional,     //
    may_goto,        // 6.9
    call,            //
    exit,
};

// The list of opcodes is the kernel's own (bpf_opcode_in_insntable, 7.2). What is left out there, and so here: 32-bit
// calls and exits, indirect calls (0x8d, which LLVM can emit), 8-byte loads with sign extension, and the modes that
// only the verifier itself writes (BPF_PROBE_*, BPF_NOSPEC).
constexpr std::array<Kind, 256> make_kinds() {
    std::array<Kind, 256> kinds{};
    const auto put = [&](int code, Kind kind) { kinds[static_cast<std::size_t>(code)] = kind; };
    for (const int width : {BPF_ALU, BPF_ALU64}) {
        for (const int op :
             {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_ARSH})
            for (const int source : {BPF_K, BPF_X}) put(width | op | source, Kind::arithmetic);
        for (const int source : {BPF_K, BPF_X}) put(width | BPF_MOV | source, Kind::move);
        put(width | BPF_NEG | BPF_K, Kind::negate);
    }
    put(BPF_ALU | BPF_END | BPF_TO_LE, Kind::byte_swap);
    put(BPF_ALU | BPF_END | BPF_TO_BE, Kind::byte_swap);
    put(BPF_ALU64 | BPF_END | BPF_TO_LE, Kind::byte_swap);  // bswap, 6.6
    for (const int size : {BPF_B, BPF_H, BPF_W, BPF_DW}) {
        put(BPF_LDX | BPF_MEM | size, Kind::load);
        put(BPF_STX | BPF_MEM | size, Kind::store);
        put(BPF_ST | BPF_MEM | size, Kind::store_constant);
        put(BPF_STX | BPF_ATOMIC | size, Kind::atomic);
        if (size == BPF_DW) continue;
        put(BPF_LDX | BPF_MEMSX | size, Kind::load);
        put(BPF_LD | BPF_ABS | size, Kind::packet);
        put(BPF_LD | BPF_IND | size, Kind::packet);
    }
    put(BPF_LD | BPF_IMM | BPF_DW, Kind::wide);
    for (const int width : {BPF_JMP, BPF_JMP32}) {
        for (const int op :
             {BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE, BPF_JSET})
            for (const int source : {BPF_K, BPF_X}) put(width | op | source, Kind::conditional);
        put(width | BPF_JA, Kind::jump);
    }
    put(BPF_JMP | BPF_JA | BPF_X, Kind::indirect_jump);
    put(BPF_JMP | op_jump_condition, Kind::may_goto);
    put(BPF_JMP | BPF_CALL, Kind::call);
    put(BPF_JMP | BPF_EXIT, Kind::exit);
    return kinds;
}
inline constexpr std::array<Kind, 256> kinds = make_kinds();

// Works on registers and memory, and goes on with the next instruction.
constexpr bool is_computation(Kind kind) { return kind >= Kind::arithmetic && kind <= Kind::atomic; }

constexpr Kind kind_of(const bpf_insn& insn) { return kinds[insn.code]; }

constexpr unsigned class_of(const bpf_insn& insn) { return insn.code & 0x07U; }
constexpr unsigned size_of(const bpf_insn& insn) { return insn.code & 0x18U; }
constexpr bool takes_register(const bpf_insn& insn) { return (insn.code & BPF_X) != 0; }

constexpr bool is_address_space_cast(const bpf_insn& insn) {
    return insn.code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn.off == address_space_cast;
}

// How far a jump of kind `jump`, `conditional` or `may_goto` goes, from the instruction after it.
constexpr std::int32_t distance(const bpf_insn& insn) {
    return insn.code == (BPF_JMP32 | BPF_JA) ? insn.imm : std::int32_t{insn.off};
}

// What is wrong with the fields of one instruction, by itself; nullptr if nothing is. Not for the second half of a
// wide one, nor does it look at that.
const char* misuse(const bpf_insn& insn);

// The fields that nearly every instruction of an opcode leaves zero, as masks: a quick way past misuse().
struct Usual {
    std::int32_t imm = -1;
    std::int16_t off = -1;
    std::uint8_t registers = 0xff;  // the source in the upper four bits
    bool decides = false;           // where these are zero and the registers known, nothing is wrong
};
constexpr std::array<Usual, 256> make_usual() {
    std::array<Usual, 256> usual{};
    for (std::size_t code = 0; code < usual.size(); ++code) {
        Usual& one = usual[code];
        const bool takes_source = (code & BPF_X) != 0;
        switch (kinds[code]) {
            case Kind::arithmetic:
            case Kind::move:
                one = takes_source ? Usual{-1, -1, 0x00, true} : Usual{0, -1, 0xf0, true};
                break;
            case Kind::negate:
                one = {-1, -1, 0xf0, true};
                break;
            case Kind::load:
            case Kind::store:
                one = {-1, 0, 0x00, true};
                break;
            case Kind::store_constant:
                one = {0, 0, 0xf0, true};
                break;
            case Kind::conditional:
                one = takes_source ? Usual{-1, 0, 0x00, true} : Usual{0, 0, 0xf0, true};
                break;
            case Kind::jump:
                if (code == (BPF_JMP | BPF_JA)) one = {-1, 0, 0xff, true};
                break;
            case Kind::call:  // of helpers
                one = {0, -1, 0xff, true};
                break;
            case Kind::wide:  // of constants
                one = {0, -1, 0xf0, true};
                break;
            case Kind::exit:
                one = {-1, -1, 0xff, true};
                break;
            default:
                break;
        }
    }
    return usual;
}
inline constexpr std::array<Usual, 256> usual = make_usual();

// True only if misuse() finds nothing; false says nothing.
constexpr bool is_usual(const bpf_insn& insn) {
    const Usual& zero = usual[insn.code];
    const int odd =
        (insn.imm & zero.imm) | (insn.off & zero.off) | ((insn.src_reg << 4 | insn.dst_reg) & zero.registers);
    return zero.decides && odd == 0 && insn.dst_reg < stack_arguments && insn.src_reg < stack_arguments;
}

}  // namespace bpfwarden::bytecode
