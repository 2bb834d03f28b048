// SPDX-License-Identifier: Apache-2.0
// Every instruction that a filter can have, against what RFC 9669 says of it, worked out by hand; interpreted, and
// evaluated with the operands unknown.
#include "bytecode/interpret.hpp"

#include <gmock/gmock.h>

#include <set>

#include "bytecode/instruction.hpp"
#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

using bytecode::insn;
using testing::HasSubstr;

struct Operation {
    unsigned code;
    int off;
    std::int64_t imm;
    std::uint64_t a, b, expected;
};

constexpr std::uint64_t minus(std::uint64_t value) { return 0 - value; }
constexpr unsigned x = BPF_X, k = BPF_K, wide = BPF_ALU64, narrow = BPF_ALU;
constexpr std::uint64_t lowest = 1ULL << 63;

const std::vector<Operation> operations{
    {wide | BPF_ADD | x, 0, 0, ~0ULL, 2, 1},
    {wide | BPF_ADD | k, 0, -5, 3, 0, minus(2)},
    {narrow | BPF_ADD | x, 0, 0, 0x1ffffffff, 2, 1},
    {narrow | BPF_ADD | k, 0, -5, 3, 0, 0xfffffffe},
    {wide | BPF_SUB | x, 0, 0, 1, 2, ~0ULL},
    {wide | BPF_SUB | k, 0, -1, 1, 0, 2},
    {narrow | BPF_SUB | x, 0, 0, 1, 2, 0xffffffff},
    {narrow | BPF_SUB | k, 0, 1, 0, 0, 0xffffffff},
    {wide | BPF_MUL | x, 0, 0, 1ULL << 33, 1ULL << 33, 0},
    {wide | BPF_MUL | k, 0, -3, 7, 0, minus(21)},
    {narrow | BPF_MUL | x, 0, 0, 0x100000003, 5, 15},
    {narrow | BPF_MUL | k, 0, -3, 7, 0, 0xffffffeb},
    {wide | BPF_DIV | k, 0, 7, 100, 0, 14},
    {wide | BPF_DIV | k, 0, -1, ~0ULL, 0, 1},
    {wide | BPF_DIV | x, 0, 0, 0xffffffff, 16, 0xfffffff},
    {wide | BPF_DIV | x, 0, 0, 100, 0, 0},
    {narrow | BPF_DIV | x, 0, 0, 0x1fffffffe, 2, 0x7fffffff},
    {narrow | BPF_DIV | x, 0, 0, 9, 1ULL << 32, 0},
    {narrow | BPF_DIV | k, 0, -1, 0xffffffff, 0, 1},
    {wide | BPF_DIV | k, 1, -7, 100, 0, minus(14)},
    {wide | BPF_DIV | k, 1, -1, lowest, 0, lowest},
    {narrow | BPF_DIV | x, 1, 0, 0x80000000, 0xffffffff, 0x80000000},
    {narrow | BPF_DIV | x, 1, 0, 0xfffffff9, 2, 0xfffffffd},
    {narrow | BPF_DIV | k, 1, 2, 0x1fffffff9, 0, 0xfffffffd},
    {wide | BPF_MOD | k, 0, 7, 100, 0, 2},
    {wide | BPF_MOD | x, 0, 0, 100, 0, 100},
    {wide | BPF_MOD | x, 0, 0, 100, 9, 1},
    {narrow | BPF_MOD | x, 0, 0, 0x100000064, 0, 100},
    {narrow | BPF_MOD | k, 0, 9, 0x100000064, 0, 1},
    {wide | BPF_MOD | k, 1, 3, minus(7), 0, minus(1)},
    {wide | BPF_MOD | k, 1, -3, 7, 0, 1},
    {wide | BPF_MOD | k, 1, -1, lowest, 0, 0},
    {narrow | BPF_MOD | x, 1, 0, 0xfffffff9, 3, 0xffffffff},
    {narrow | BPF_MOD | k, 1, -1, 0x80000000, 0, 0},
    {wide | BPF_OR | x, 0, 0, 0xf0, 1ULL << 63, lowest | 0xf0},
    {wide | BPF_OR | k, 0, -16, 1, 0, minus(15)},
    {narrow | BPF_OR | x, 0, 0, 0x100000001, 2, 3},
    {narrow | BPF_OR | k, 0, -16, 1, 0, 0xfffffff1},
    {wide | BPF_AND | x, 0, 0, 0xff, 0x1f0, 0xf0},
    {wide | BPF_AND | k, 0, -16, ~0ULL, 0, minus(16)},
    {narrow | BPF_AND | x, 0, 0, ~0ULL, ~0ULL, 0xffffffff},
    {narrow | BPF_AND | k, 0, -16, ~0ULL, 0, 0xfffffff0},
    {wide | BPF_XOR | x, 0, 0, ~0ULL, 1, minus(2)},
    {wide | BPF_XOR | k, 0, -1, 1, 0, minus(2)},
    {narrow | BPF_XOR | x, 0, 0, ~0ULL, 1, 0xfffffffe},
    {narrow | BPF_XOR | k, 0, -1, 1, 0, 0xfffffffe},
    {wide | BPF_LSH | x, 0, 0, 1, 65, 2},
    {wide | BPF_LSH | k, 0, 63, 3, 0, lowest},
    {narrow | BPF_LSH | x, 0, 0, 3, 33, 6},
    {narrow | BPF_LSH | k, 0, 31, 3, 0, 0x80000000},
    {wide | BPF_RSH | x, 0, 0, lowest, 127, 1},
    {wide | BPF_RSH | k, 0, 60, ~0ULL, 0, 15},
    {narrow | BPF_RSH | x, 0, 0, 0xf80000000, 63, 1},
    {narrow | BPF_RSH | k, 0, 4, 0xf000000f0, 0, 0xf},
    {wide | BPF_ARSH | x, 0, 0, lowest, 64 + 63, ~0ULL},
    {wide | BPF_ARSH | k, 0, 4, 0x100, 0, 0x10},
    {narrow | BPF_ARSH | x, 0, 0, 0x80000000, 31, 0xffffffff},
    {narrow | BPF_ARSH | k, 0, 4, 0x170000000, 0, 0x7000000},
    {wide | BPF_NEG, 0, 0, 1, 0, ~0ULL},
    {narrow | BPF_NEG, 0, 0, 1, 0, 0xffffffff},
    {wide | BPF_MOV | x, 0, 0, 0, lowest | 5, lowest | 5},
    {wide | BPF_MOV | k, 0, -2, 0, 0, minus(2)},
    {narrow | BPF_MOV | x, 0, 0, 0, lowest | 5, 5},
    {narrow | BPF_MOV | k, 0, -2, 0, 0, 0xfffffffe},
    {wide | BPF_MOV | x, 8, 0, 0, 0x180, minus(0x80)},
    {wide | BPF_MOV | x, 16, 0, 0, 0x17fff, 0x7fff},
    {wide | BPF_MOV | x, 32, 0, 0, 0x80000000, 0xffffffff80000000},
    {narrow | BPF_MOV | x, 8, 0, 0, 0xff, 0xffffffff},
    {narrow | BPF_MOV | x, 16, 0, 0, 0x8000, 0xffff8000},
    {narrow | BPF_END | BPF_TO_LE, 0, 16, 0x12345678, 0, 0x5678},
    {narrow | BPF_END | BPF_TO_LE, 0, 32, 0x112345678, 0, 0x12345678},
    {narrow | BPF_END | BPF_TO_LE, 0, 64, lowest | 1, 0, lowest | 1},
    {narrow | BPF_END | BPF_TO_BE, 0, 16, 0x12345678, 0, 0x7856},
    {narrow | BPF_END | BPF_TO_BE, 0, 32, 0x12345678, 0, 0x78563412},
    {narrow | BPF_END | BPF_TO_BE, 0, 64, 0x0102030405060708, 0, 0x0807060504030201},
    {wide | BPF_END | BPF_TO_LE, 0, 16, 0x12345678, 0, 0x7856},
    {wide | BPF_END | BPF_TO_LE, 0, 32, 0xff12345678, 0, 0x78563412},
    {wide | BPF_END | BPF_TO_LE, 0, 64, 0x0102030405060708, 0, 0x0807060504030201},
};

struct Comparison {
    unsigned operation;
    std::uint64_t a, b;
    bool wide, narrow;
};
const std::vector<Comparison> comparisons{
    {BPF_JEQ, 1, 0x100000001, false, true},
    {BPF_JEQ, ~0ULL, ~0ULL, true, true},
    {BPF_JNE, 1, 0x100000001, true, false},
    {BPF_JGT, 1ULL << 32, 1, true, false},
    {BPF_JGT, 2, 1, true, true},
    {BPF_JGE, 1, 0x100000001, false, true},
    {BPF_JGE, 1, 1, true, true},
    {BPF_JLT, 1, 1ULL << 32, true, false},
    {BPF_JLT, 1, 2, true, true},
    {BPF_JLE, 0x100000001, 1, false, true},
    {BPF_JLE, 1, 1, true, true},
    {BPF_JSGT, 1, 0xffffffff, false, true},
    {BPF_JSGT, 1, ~0ULL, true, true},
    {BPF_JSGE, 0, lowest, true, true},
    {BPF_JSGE, ~0ULL, 0, false, false},
    {BPF_JSLT, 0x80000000, 0, false, true},
    {BPF_JSLT, lowest, 0, true, false},
    {BPF_JSLE, 0xffffffff, 0, false, true},
    {BPF_JSLE, ~0ULL, 0, true, true},
    {BPF_JSET, 1ULL << 32, ~0ULL, true, false},
    {BPF_JSET, 2, 6, true, true},
    {BPF_JSET, 1, 6, false, false},
};

// args[0] in r2, args[1] in r3; r2 is the result.
bytecode::Program with(const std::vector<bpf_insn>& body) {
    bytecode::Program program;
    program.code = {insn(BPF_LDX | BPF_MEM | BPF_DW, 2, 1, 16, 0), insn(BPF_LDX | BPF_MEM | BPF_DW, 3, 1, 24, 0)};
    program.code.insert(program.code.end(), body.begin(), body.end());
    program.code.push_back(insn(BPF_ALU64 | BPF_MOV | BPF_X, 0, 2, 0, 0));
    program.code.push_back(bytecode::leave());
    return program;
}
Data arguments(std::uint64_t a, std::uint64_t b) {
    Data data;
    data.set_arg(0, a);
    data.set_arg(1, b);
    return data;
}

// All 64 bits of the result, 16 at a time, by way of an errno that the kernel does not cut.
std::uint64_t evaluated(const std::vector<bpf_insn>& body, const Data& data) {
    std::uint64_t result = 0;
    for (unsigned part = 0; part < 64; part += 8) {
        auto program = with(body);
        program.code.pop_back();
        program.code.push_back(insn(BPF_ALU64 | BPF_RSH | BPF_K, 0, 0, 0, part));
        program.code.push_back(insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, 0xff));
        program.code.push_back(insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_TRAP));
        program.code.push_back(bytecode::leave());
        const auto function = evaluate(program, {});
        if (!function) {
            ADD_FAILURE() << function.error().text("");
            return 0;
        }
        result |= std::uint64_t{function->function.evaluate(data) & 0xff} << part;
    }
    return result;
}

TEST(Instructions, ComputeWhatTheStandardSays) {
    std::set<unsigned> seen;
    for (const auto& one : operations) {
        seen.insert(one.code);
        const std::vector<bpf_insn> body{
            insn(one.code, 2, (one.code & BPF_X) != 0 && (one.code & 0xf0) != BPF_END ? 3U : 0U, one.off, one.imm)};
        const auto data = arguments(one.a, one.b);
        const auto plain = bytecode::interpret(with(body), context_of(data));
        ASSERT_TRUE(plain) << plain.error().what();
        EXPECT_EQ(*plain, one.expected) << std::hex << one.code << " " << one.a << " " << one.b;
        // A 64-bit division by what is not constant is refused.
        const unsigned op = one.code & 0xf0;
        if ((one.code & 7) == BPF_ALU64 && (op == BPF_DIV || op == BPF_MOD) && (one.code & BPF_X) != 0) continue;
        EXPECT_EQ(evaluated(body, data), one.expected) << std::hex << one.code << " " << one.a << " " << one.b;
    }
    for (unsigned code = 0; code < 256; ++code) {
        const auto kind = bytecode::kinds[code];
        if (kind >= bytecode::Kind::arithmetic && kind <= bytecode::Kind::move) {
            EXPECT_TRUE(seen.contains(code)) << std::hex << code << " is not in the list";
        }
    }
}

TEST(Instructions, CompareAsTheStandardSays) {
    for (const auto& one : comparisons)
        for (const unsigned width : {unsigned{BPF_JMP}, unsigned{BPF_JMP32}})
            for (const bool constant : {false, true}) {
                // A constant is of 32 bits, extended.
                const auto imm = static_cast<std::int32_t>(one.b);
                if (constant && static_cast<std::uint64_t>(std::int64_t{imm}) != one.b) continue;
                const std::vector<bpf_insn> body{constant ? insn(width | one.operation | BPF_K, 2, 0, 2, imm)
                                                          : insn(width | one.operation | BPF_X, 2, 3, 2, 0),
                                                 bytecode::move(2, 0), bytecode::jump(1), bytecode::move(2, 1)};
                const auto data = arguments(one.a, one.b);
                const bool expected = width == BPF_JMP ? one.wide : one.narrow;
                const auto plain = bytecode::interpret(with(body), context_of(data));
                ASSERT_TRUE(plain) << plain.error().what();
                EXPECT_EQ(*plain, expected) << std::hex << one.operation << " " << one.a << " " << one.b;
                EXPECT_EQ(evaluated(body, data), expected) << std::hex << one.operation << " " << one.a << " " << one.b;
            }
}

TEST(Instructions, LoadAndStoreInLittleEndianOrder) {
    const auto data = arguments(0x8877665544332211, 0xfedcba9876543210);
    const auto check = [&](const std::vector<bpf_insn>& body, std::uint64_t expected) {
        const auto plain = bytecode::interpret(with(body), context_of(data));
        ASSERT_TRUE(plain) << plain.error().what();
        EXPECT_EQ(*plain, expected);
        EXPECT_EQ(evaluated(body, data), expected);
    };
    check({insn(BPF_LDX | BPF_MEM | BPF_B, 2, 1, 17, 0)}, 0x22);
    check({insn(BPF_LDX | BPF_MEM | BPF_H, 2, 1, 18, 0)}, 0x4433);
    check({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 20, 0)}, 0x88776655);
    check({insn(BPF_LDX | BPF_MEMSX | BPF_B, 2, 1, 23, 0)}, 0xffffffffffffff88);
    check({insn(BPF_LDX | BPF_MEMSX | BPF_H, 2, 1, 22, 0)}, 0xffffffffffff8877);
    check({insn(BPF_LDX | BPF_MEMSX | BPF_W, 2, 1, 20, 0)}, 0xffffffff88776655);
    // Written whole, overwritten in part, read across.
    check({insn(BPF_STX | BPF_MEM | BPF_DW, 10, 2, -16, 0), insn(BPF_STX | BPF_MEM | BPF_DW, 10, 3, -8, 0),
           insn(BPF_STX | BPF_MEM | BPF_H, 10, 3, -13, 0), insn(BPF_ST | BPF_MEM | BPF_B, 10, 0, -9, 0x5a),
           insn(BPF_LDX | BPF_MEM | BPF_DW, 2, 10, -13, 0)},
          0x5432105a77663210);
    check({insn(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, -2), insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -8, 7),
           insn(BPF_ST | BPF_MEM | BPF_H, 10, 0, -6, 0x1234), insn(BPF_LDX | BPF_MEM | BPF_DW, 2, 10, -8, 0)},
          0xffffffff12340007);
    check({insn(BPF_LD | BPF_IMM | BPF_DW, 2, 0, 0, 0x12345678), insn(0, 0, 0, 0, -2)}, 0xfffffffe12345678);
    check({insn(BPF_JMP32 | BPF_JA, 0, 0, 0, 1), bytecode::move(2, 5), bytecode::move(2, 6)}, 6);  // gotol
}

TEST(Interpreter, RefusesWhatIsNotSafe) {
    const auto refused = [](const std::vector<bpf_insn>& body, const char* why) {
        const auto plain = bytecode::interpret(with(body), context_of({}));
        ASSERT_FALSE(plain) << why;
        EXPECT_THAT(plain.error().what(), HasSubstr(why));
        EXPECT_FALSE(evaluate(with(body), {})) << why;
    };
    refused({insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 7, 0, 0)}, "unset register");
    refused({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 64, 0)}, "reads outside");
    refused({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 2, 0)}, "unaligned");
    refused({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 10, -4, 0)}, "not written");
    refused({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 2, 0, 0)}, "no pointer");
    refused({insn(BPF_ST | BPF_MEM | BPF_W, 1, 0, 0, 0)}, "not the stack");
    refused({insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, 0, 0)}, "outside of the stack");
    refused({insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -516, 0)}, "outside of the stack");
    refused({insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 1, 0, 0)}, "returns what is no number");
    refused({insn(BPF_ALU | BPF_MOV | BPF_X, 2, 1, 0, 0)}, "cuts a pointer");
    refused({insn(BPF_ALU64 | BPF_MUL | BPF_K, 1, 0, 0, 3)}, "calculates with a pointer");
    refused({insn(BPF_JMP | BPF_JGT | BPF_K, 1, 0, 0, 3)}, "compares a pointer");
    refused({bytecode::call(BPF_FUNC_ktime_get_ns)}, "calls what a filter cannot");
    refused({bytecode::call_own(-1)}, "calls too deeply");
    refused({bytecode::jump(-1)}, "does not end");
    refused({bytecode::jump(100)}, "past the end");
    refused({insn(BPF_STX | BPF_ATOMIC | BPF_DW, 10, 2, -8, BPF_ADD)}, "no instruction of a filter");
    refused({insn(BPF_STX | BPF_MEM | BPF_DW, 10, 1, -8, 0), insn(BPF_LDX | BPF_MEM | BPF_W, 2, 10, -8, 0)},
            "not written");
}

}  // namespace
}  // namespace bpfwarden::filter
