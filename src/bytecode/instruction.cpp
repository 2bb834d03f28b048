// SPDX-License-Identifier: Apache-2.0
#include "bytecode/instruction.hpp"

namespace bpfwarden::bytecode {

static_assert(BPF_JCOND == op_jump_condition && BPF_ADDR_SPACE_CAST == address_space_cast &&
              int{BPF_MAP_TYPE_ARENA} == int{map_type_arena});
#ifdef BPF_LOAD_ACQ
static_assert(BPF_LOAD_ACQ == atomic_load_acquire && BPF_STORE_REL == atomic_store_release);
#endif
static_assert(sizeof(bpf_insn) == 8);

static const char* move_misuse(const bpf_insn& insn) {
    if (!takes_register(insn)) return insn.src_reg || insn.off ? "a move uses reserved fields" : nullptr;
    const bool is_64 = class_of(insn) == BPF_ALU64;
    if (is_64 && insn.off == address_space_cast)
        return insn.imm == 1 || insn.imm == 1 << 16 ? nullptr : "a cast between unknown address spaces";
    const bool extends = insn.off == 8 || insn.off == 16 || (is_64 && insn.off == 32);
    // -1 is the verifier's own, for per-CPU addresses (6.10).
    return insn.imm || (insn.off && !extends) ? "a move uses reserved fields" : nullptr;
}

static const char* arithmetic_misuse(const bpf_insn& insn) {
    const unsigned op = insn.code & 0xf0U;
    const bool is_signed = insn.off == 1 && (op == BPF_DIV || op == BPF_MOD);  // 6.6
    if (insn.off && !is_signed) return "arithmetic uses reserved fields";
    return (takes_register(insn) ? insn.imm != 0 : insn.src_reg != 0) ? "arithmetic uses reserved fields" : nullptr;
}

static const char* atomic_misuse(const bpf_insn& insn) {
    switch (insn.imm) {
        case atomic_load_acquire:
        case atomic_store_release:
            return nullptr;
        case BPF_ADD:
        case BPF_AND:
        case BPF_OR:
        case BPF_XOR:
        case BPF_ADD | BPF_FETCH:
        case BPF_AND | BPF_FETCH:
        case BPF_OR | BPF_FETCH:
        case BPF_XOR | BPF_FETCH:
        case BPF_XCHG:
        case BPF_CMPXCHG:
            return size_of(insn) == BPF_W || size_of(insn) == BPF_DW ? nullptr : "an atomic operation on 1 or 2 bytes";
        default:
            return "an unknown atomic operation";
    }
}

static const char* call_misuse(const bpf_insn& insn) {
    if (insn.dst_reg) return "a call uses reserved fields";
    switch (insn.src_reg) {
        case 0:
        case BPF_PSEUDO_CALL:
            return insn.off ? "a call uses reserved fields" : nullptr;
        case BPF_PSEUDO_KFUNC_CALL:
            return insn.off < 0 ? "a kfunc of a negative module" : nullptr;
        default:
            return "an unknown kind of call";
    }
}

// There are eleven registers. An argument after the fifth goes over 8 bytes of memory that a twelfth points to (7.2),
// which is nothing but the base of a load or store.
static bool has_unknown_register(const bpf_insn& insn, Kind kind) {
    if (insn.dst_reg < stack_arguments && insn.src_reg < stack_arguments) return false;
    if ((insn.code & 0xf8U) != (BPF_MEM | BPF_DW)) return true;
    if (kind == Kind::load) return insn.src_reg != stack_arguments || insn.dst_reg >= stack_arguments;
    if (kind == Kind::store || kind == Kind::store_constant)
        return insn.dst_reg != stack_arguments || insn.src_reg >= stack_arguments;
    return true;
}

// Soundness: new meanings come into the instruction set by way of fields that had to be zero (addr_space_cast and the
// sign extensions are moves with an offset, may_goto is a condition, kfuncs are a source register). So a field that is
// not zero and not known may be a feature that nobody granted, on a kernel that is newer than this. The rules are those
// of 7.2 (check_insn_fields), plus the offset of an exit, which it does not look at.
const char* misuse(const bpf_insn& insn) {
    const Kind kind = kind_of(insn);
    if (has_unknown_register(insn, kind)) return "there is no such register";
    switch (kind) {
        case Kind::unknown:
            return "unknown opcode";
        case Kind::arithmetic:
            return arithmetic_misuse(insn);
        case Kind::negate:
            return insn.src_reg || insn.off || insn.imm ? "a negation uses reserved fields" : nullptr;
        case Kind::byte_swap:
            return insn.src_reg || insn.off || (insn.imm != 16 && insn.imm != 32 && insn.imm != 64)
                       ? "a byte swap uses reserved fields"
                       : nullptr;
        case Kind::move:
            return move_misuse(insn);
        case Kind::load:
        case Kind::store:
            return insn.imm ? "a load or store uses reserved fields" : nullptr;
        case Kind::store_constant:
            return insn.src_reg ? "a store uses reserved fields" : nullptr;
        case Kind::atomic:
            return atomic_misuse(insn);
        case Kind::packet:
            return insn.dst_reg || insn.off || ((insn.code & 0xe0U) == BPF_ABS && insn.src_reg)
                       ? "a packet load uses reserved fields"
                       : nullptr;
        case Kind::wide:
            if (insn.off) return "a 64-bit load uses reserved fields";
            return insn.src_reg > BPF_PSEUDO_MAP_IDX_VALUE ? "an unknown kind of 64-bit load" : nullptr;
        case Kind::jump: {
            const bool is_long = class_of(insn) == BPF_JMP32;
            return insn.src_reg || insn.dst_reg || (is_long ? insn.off != 0 : insn.imm != 0)
                       ? "a jump uses reserved fields"
                       : nullptr;
        }
        case Kind::indirect_jump:
            return insn.src_reg || insn.off || insn.imm ? "an indirect jump uses reserved fields" : nullptr;
        case Kind::conditional:
            return (takes_register(insn) ? insn.imm != 0 : insn.src_reg != 0) ? "a jump uses reserved fields" : nullptr;
        case Kind::may_goto:
            return insn.src_reg || insn.dst_reg || insn.imm ? "an unknown kind of conditional jump" : nullptr;
        case Kind::call:
            return call_misuse(insn);
        case Kind::exit:
            return insn.src_reg || insn.dst_reg || insn.off || insn.imm ? "an exit uses reserved fields" : nullptr;
    }
    return "unknown opcode";
}

}  // namespace bpfwarden::bytecode
