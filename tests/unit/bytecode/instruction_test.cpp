// SPDX-License-Identifier: Apache-2.0
#include "bytecode/instruction.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "unit/bytecode/code.hpp"

namespace bpfwarden::bytecode {
namespace {

constexpr unsigned mov = BPF_ALU64 | BPF_MOV | BPF_X, mov32 = BPF_ALU | BPF_MOV | BPF_X;
constexpr unsigned ldx = BPF_LDX | BPF_MEM, stx = BPF_STX | BPF_MEM, st = BPF_ST | BPF_MEM;
constexpr unsigned atomic = BPF_STX | BPF_ATOMIC, ld_imm64 = BPF_LD | BPF_IMM | BPF_DW;
constexpr unsigned memsx = BPF_LDX | BPF_MEMSX;

// Each that is right, with neighbours that are not.
struct Case {
    const char* what;
    bpf_insn good;
    std::vector<bpf_insn> bad;
};

// NOLINTBEGIN(misc-redundant-expression): BPF_ADD, BPF_K and others are all 0
std::vector<Case> cases() {
    return {
        {"add",
         insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 7),
         {insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 2, 0, 7), insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 1, 7),
          insn(BPF_ALU64 | BPF_ADD | BPF_X, 1, 2, 0, 7), insn(BPF_ALU64 | BPF_ADD | BPF_K, 11, 0, 0, 7)}},
        {"signed division",
         insn(BPF_ALU64 | BPF_DIV | BPF_X, 1, 2, 1, 0),
         {insn(BPF_ALU64 | BPF_DIV | BPF_X, 1, 2, 2, 0), insn(BPF_ALU64 | BPF_MUL | BPF_X, 1, 2, 1, 0)}},
        {"move", insn(mov, 10, 10, 0, 0), {insn(mov, 11, 0, 0, 0), insn(mov, 0, 11, 0, 0), insn(mov, 1, 2, 0, 1)}},
        {"move with sign",
         insn(mov, 1, 2, 32, 0),
         {insn(mov32, 1, 2, 32, 0), insn(mov, 1, 2, 24, 0), insn(mov, 1, 2, 8, 1), insn(mov, 1, 2, -1, 0)}},
        {"32-bit move with sign", insn(mov32, 1, 2, 16, 0), {insn(mov32, 1, 2, 1, 1)}},
        {"address space cast", insn(mov, 1, 2, 1, 1 << 16), {insn(mov, 1, 2, 1, 2), insn(mov, 1, 2, 1, 0)}},
        {"constant",
         move(3, -1),
         {insn(BPF_ALU64 | BPF_MOV | BPF_K, 3, 1, 0, 1), insn(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 1, 1)}},
        {"negation",
         insn(BPF_ALU | BPF_NEG, 1, 0, 0, 0),
         {insn(BPF_ALU | BPF_NEG, 1, 0, 0, 1), insn(BPF_ALU | BPF_NEG | BPF_X, 1, 0, 0, 0)}},
        {"byte swap",
         insn(BPF_ALU64 | BPF_END, 1, 0, 0, 32),
         {insn(BPF_ALU64 | BPF_END, 1, 0, 0, 8), insn(BPF_ALU64 | BPF_END | BPF_TO_BE, 1, 0, 0, 32)}},
        {"load", insn(ldx | BPF_W, 1, 2, -4, 0), {insn(ldx | BPF_W, 1, 2, -4, 1), insn(ldx | BPF_W, 1, 11, 8, 0)}},
        {"load with sign",
         insn(memsx | BPF_W, 1, 2, 0, 0),
         {insn(memsx | BPF_DW, 1, 2, 0, 0), insn(BPF_LDX | 0x20, 1, 2, 0, 0), insn(BPF_LDX | 0xa0, 1, 2, 0, 0)}},
        {"sixth argument, received",
         insn(ldx | BPF_DW, 1, 11, 8, 0),
         {insn(ldx | BPF_DW, 11, 1, 8, 0), insn(ldx | BPF_DW, 11, 11, 8, 0), insn(ldx | BPF_DW, 1, 12, 8, 0)}},
        {"sixth argument, given",
         insn(stx | BPF_DW, 11, 1, -8, 0),
         {insn(stx | BPF_W, 11, 1, -8, 0), insn(stx | BPF_DW, 11, 11, -8, 0), insn(stx | BPF_DW, 12, 1, -8, 0),
          insn(atomic | BPF_DW, 11, 1, -8, 0)}},
        {"sixth argument, a constant", insn(st | BPF_DW, 11, 0, -8, 5), {insn(st | BPF_H, 11, 0, -8, 5)}},
        {"store", insn(stx | BPF_B, 1, 2, 0, 0), {insn(stx | BPF_B, 1, 2, 0, 1), insn(BPF_STX | 0xe0, 1, 2, 0, 0)}},
        {"store of a constant",
         insn(st | BPF_B, 1, 0, 0, 9),
         {insn(st | BPF_B, 1, 2, 0, 9), insn(BPF_ST | 0xa0, 1, 0, 0, 9)}},
        {"atomic",
         insn(atomic | BPF_W, 1, 2, 0, BPF_ADD | BPF_FETCH),
         {insn(atomic | BPF_H, 1, 2, 0, BPF_ADD), insn(atomic | BPF_W, 1, 2, 0, BPF_SUB),
          insn(atomic | BPF_W, 1, 2, 0, 0x120)}},
        {"load-acquire", insn(atomic | BPF_B, 1, 2, 0, 0x100), {insn(atomic | BPF_B, 1, 2, 0, 0x101)}},
        {"store-release", insn(atomic | BPF_DW, 1, 2, 0, 0x110), {insn(atomic | BPF_DW, 1, 2, 0, 0x10)}},
        {"packet",
         insn(BPF_LD | BPF_ABS | BPF_H, 0, 0, 0, 12),
         {insn(BPF_LD | BPF_ABS | BPF_H, 0, 1, 0, 12), insn(BPF_LD | BPF_ABS | BPF_DW, 0, 0, 0, 12),
          insn(BPF_LD | BPF_ABS | BPF_H, 1, 0, 0, 12), insn(BPF_LD | BPF_MEM | BPF_W, 0, 0, 0, 0)}},
        {"packet, indirect",
         insn(BPF_LD | BPF_IND | BPF_B, 0, 6, 0, 12),
         {insn(BPF_LD | BPF_IND | BPF_B, 0, 6, 1, 12)}},
        {"wide",
         insn(ld_imm64, 1, 6, 0, 3),
         {insn(ld_imm64, 1, 7, 0, 3), insn(ld_imm64, 1, 0, 1, 3), insn(BPF_LD | BPF_IMM | BPF_W, 1, 0, 0, 3)}},
        {"goto",
         jump(-1),
         {insn(BPF_JMP | BPF_JA, 0, 0, 0, 1), insn(BPF_JMP | BPF_JA, 1, 0, 0, 0), insn(BPF_JMP | BPF_JA, 0, 1, 0, 0)}},
        {"gotol",
         insn(BPF_JMP32 | BPF_JA, 0, 0, 0, -1),
         {insn(BPF_JMP32 | BPF_JA, 0, 0, 1, 0), insn(BPF_JMP32 | BPF_JA, 0, 1, 0, 0)}},
        {"gotox",
         insn(BPF_JMP | BPF_JA | BPF_X, 5, 0, 0, 0),
         {insn(BPF_JMP | BPF_JA | BPF_X, 5, 1, 0, 0), insn(BPF_JMP | BPF_JA | BPF_X, 5, 0, 1, 0),
          insn(BPF_JMP32 | BPF_JA | BPF_X, 5, 0, 0, 0)}},
        {"condition",
         insn(BPF_JMP32 | BPF_JSGT | BPF_K, 1, 0, 3, 9),
         {insn(BPF_JMP32 | BPF_JSGT | BPF_K, 1, 2, 3, 9), insn(BPF_JMP32 | BPF_JSGT | BPF_X, 1, 2, 3, 9)}},
        {"may_goto",
         insn(BPF_JMP | 0xe0, 0, 0, 3, 0),
         {insn(BPF_JMP | 0xe0, 0, 1, 3, 0), insn(BPF_JMP | 0xe0, 0, 0, 3, 1), insn(BPF_JMP | 0xe0, 1, 0, 3, 0),
          insn(BPF_JMP32 | 0xe0, 0, 0, 3, 0), insn(BPF_JMP | 0xf0, 0, 0, 3, 0)}},
        {"helper",
         call(1),
         {insn(BPF_JMP | BPF_CALL, 1, 0, 0, 1), insn(BPF_JMP | BPF_CALL, 0, 0, 1, 1),
          insn(BPF_JMP | BPF_CALL, 0, 3, 0, 1), insn(BPF_JMP32 | BPF_CALL, 0, 0, 0, 1),
          insn(BPF_JMP | BPF_CALL | BPF_X, 0, 0, 0, 1)}},
        {"kfunc", call_kfunc(77, 3), {call_kfunc(77, -1), insn(BPF_JMP | BPF_CALL, 1, 2, 0, 77)}},
        {"own function", call_own(3), {insn(BPF_JMP | BPF_CALL, 0, 1, 1, 3)}},
        {"exit",
         leave(),
         {insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 1), insn(BPF_JMP | BPF_EXIT, 1, 0, 0, 0),
          insn(BPF_JMP | BPF_EXIT, 0, 0, 1, 0), insn(BPF_JMP32 | BPF_EXIT, 0, 0, 0, 0),
          insn(BPF_JMP | BPF_EXIT | BPF_X, 0, 0, 0, 0)}},
    };
}
// NOLINTEND(misc-redundant-expression)

TEST(Instruction, RefusesFieldsThatMustBeZero) {
    for (const auto& one : cases()) {
        EXPECT_EQ(misuse(one.good), nullptr) << one.what << ": " << misuse(one.good);
        for (std::size_t i = 0; i < one.bad.size(); ++i) EXPECT_NE(misuse(one.bad[i]), nullptr) << one.what << " " << i;
    }
}

TEST(Instruction, EveryKindHasACase) {
    const auto all = cases();
    for (const auto kind : kinds)
        EXPECT_TRUE(kind == Kind::unknown ||
                    std::ranges::any_of(all, [&](const Case& one) { return kind_of(one.good) == kind; }))
            << static_cast<int>(kind);
}

TEST(Instruction, UsualOnesAreNeverWrong) {
    const std::int64_t imms[] = {0, 1, 8, 16, 32, 64, 0xe1, 0x100, 1 << 16, -1};
    const int offs[] = {0, 1, 8, 32, -1};
    long accepted = 0;
    for (unsigned code = 0; code < 256; ++code)
        for (const unsigned registers : {0x00U, 0x01U, 0x10U, 0x21U, 0xaaU, 0x0bU, 0xb0U, 0x1bU, 0xb1U, 0xf0U, 0x0fU})
            for (const auto imm : imms)
                for (const int off : offs) {
                    const auto one = insn(code, registers & 0xfU, registers >> 4, off, imm);
                    if (!is_usual(one)) continue;
                    ++accepted;
                    ASSERT_EQ(misuse(one), nullptr) << code << " " << registers << " " << imm << " " << off;
                }
    EXPECT_GT(accepted, 2'000);
}

// The kernel's own list (bpf_opcode_in_insntable, 7.2) has this many.
TEST(Instruction, KnowsAsManyOpcodesAsTheKernel) {
    const auto known = std::ranges::count_if(kinds, [](Kind kind) { return kind != Kind::unknown; });
    const int alu = 2 * (12 * 2 + 1) + 3, jumps = 2 * (11 * 2 + 1) + 4, memory = 4 * 4 + 3 + 6 + 1;
    EXPECT_EQ(known, alu + jumps + memory);
}

}  // namespace
}  // namespace bpfwarden::bytecode
