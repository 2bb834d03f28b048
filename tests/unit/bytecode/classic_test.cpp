// SPDX-License-Identifier: Apache-2.0
#include "bytecode/classic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include <cstdlib>
#include <random>

#include "bytecode/classic_text.hpp"
#include "unit/bytecode/in_child.hpp"

namespace bpfwarden::bytecode {
namespace {

using namespace classic;
using Program = std::vector<sock_filter>;
using testing::HasSubstr;

constexpr sock_filter plain(int code, std::uint32_t k = 0) {
    return {.code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = k};
}
constexpr sock_filter branch(int code, std::uint32_t k, int jt, int jf) {
    return {.code = static_cast<std::uint16_t>(code),
            .jt = static_cast<std::uint8_t>(jt),
            .jf = static_cast<std::uint8_t>(jf),
            .k = k};
}
constexpr sock_filter ret(std::uint32_t k) { return plain(return_constant, k); }
constexpr std::uint32_t yes = SECCOMP_RET_ALLOW, no = SECCOMP_RET_ERRNO | 1;

using Memory = std::array<std::uint32_t, 16>;
Memory data(std::uint32_t nr, std::uint32_t arch = AUDIT_ARCH_X86_64) {
    Memory words{nr, arch};
    for (unsigned i = 2; i < 16; ++i) words[i] = 0x1000 * i;
    return words;
}
std::uint32_t result(const Program& program, const Memory& words = data(0)) {
    EXPECT_TRUE(check(program));
    return run(program, words).result;
}

// Refused at that instruction, by us and by the kernel.
void refused(const Program& program, std::size_t at, std::string_view why) {
    const auto checked = check(program);
    ASSERT_FALSE(checked) << why;
    EXPECT_EQ(checked.error().number(), EINVAL);
    EXPECT_EQ(checked.error().code(), Code::bad_input);
    EXPECT_THAT(checked.error().what(), HasSubstr("instruction " + std::to_string(at) + ": "));
    EXPECT_THAT(checked.error().what(), HasSubstr(std::string(why)));
    EXPECT_FALSE(kernel_takes(program)) << why;
}
void taken(const Program& program) {
    const auto checked = check(program);
    EXPECT_TRUE(checked) << checked.error().text("");
    EXPECT_TRUE(kernel_takes(program));
}

// ---- check

TEST(ClassicCheck, Lengths) {
    EXPECT_EQ(check({}).error().number(), EINVAL);
    EXPECT_FALSE(kernel_takes({}));
    taken(Program(4096, ret(yes)));
    const Program large(4097, ret(yes));
    EXPECT_EQ(check(large).error().number(), EINVAL);
    EXPECT_FALSE(kernel_takes(large));
}

// Every one of the 65536 codes would do; those above 255 are refused whatever they are.
TEST(ClassicCheck, EveryOpcodeAsTheKernelDoes) {
    unsigned good = 0;
    for (int code = 0; code < 256; ++code) {
        // With an operand that is good for all, after a store.
        const Program program{plain(store, 4), branch(code, 4, 0, 0),
                              ret(yes),        ret(yes),
                              ret(yes),        ret(yes),
                              ret(yes),        ret(yes),
                              ret(yes),        ret(yes)};
        EXPECT_EQ(check(program).has_value(), kernel_takes(program)) << code;
        good += check(program).has_value() ? 1U : 0U;
    }
    EXPECT_EQ(good, 41U);
    refused({plain(0x100 | load_word), ret(yes)}, 0, "no such opcode");
    refused({plain(0x8000 | return_constant), ret(yes)}, 0, "no such opcode");
}

TEST(ClassicCheck, WhatSocketFiltersHaveAndSeccompNot) {
    for (const int code :
         {BPF_ALU | BPF_MOD | BPF_K, BPF_ALU | BPF_MOD | BPF_X, BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_B | BPF_ABS,
          BPF_LD | BPF_W | BPF_IND, BPF_LDX | BPF_B | BPF_MSH, BPF_RET | BPF_X})
        refused({plain(code, 4), ret(yes)}, 0, "no such opcode");
}

TEST(ClassicCheck, Operands) {
    taken({plain(load_word, 60), ret(yes)});
    refused({plain(load_word, 64), ret(yes)}, 0, "outside struct seccomp_data");
    refused({plain(load_word, 0xfffff000), ret(yes)}, 0, "outside struct seccomp_data");
    refused({ret(yes), plain(load_word, 2), ret(yes)}, 1, "not a multiple of four");
    taken({plain(BPF_ALU | BPF_DIV | BPF_K, 1), ret(yes)});
    refused({plain(BPF_ALU | BPF_DIV | BPF_K, 0), ret(yes)}, 0, "by zero");
    for (const int op : {BPF_LSH, BPF_RSH}) {
        taken({plain(BPF_ALU | op | BPF_K, 31), ret(yes)});
        refused({plain(BPF_ALU | op | BPF_K, 32), ret(yes)}, 0, "more than 31");
    }
    taken({plain(store, 15), plain(load_scratch, 15), ret(yes)});
    for (const int code : {store, store_x, load_scratch, load_x_scratch})
        refused({plain(code, 16), ret(yes)}, 0, "16 scratch words");
}

TEST(ClassicCheck, JumpsAndEnds) {
    taken({plain(jump, 0), ret(yes)});
    refused({plain(jump, 1), ret(yes)}, 0, "out of the program");
    refused({plain(jump, 0xffffffff), ret(yes)}, 0, "out of the program");
    taken({branch(jump_equal, 0, 1, 0), ret(yes), ret(no)});
    refused({branch(jump_equal, 0, 2, 0), ret(yes), ret(no)}, 0, "out of the program");
    refused({branch(jump_any_bit, 0, 0, 2), ret(yes), ret(no)}, 0, "out of the program");
    refused({ret(yes), plain(load_word)}, 1, "no return");
    refused({ret(yes), branch(jump_equal, 0, 0, 0)}, 1, "out of the program");
    taken({plain(return_a)});
    // What cannot be reached is looked at too, but not whether it is.
    taken({ret(yes), plain(load_word), ret(no)});
}

TEST(ClassicCheck, ScratchWordsAreWrittenOnEveryPathBefore) {
    refused({plain(load_scratch, 3), ret(yes)}, 0, "scratch word 3");
    taken({plain(store_x, 3), plain(load_x_scratch, 3), ret(yes)});
    refused({branch(jump_equal, 0, 1, 0), plain(store, 3), plain(load_scratch, 3), ret(yes)}, 2, "scratch word 3");
    taken({branch(jump_equal, 0, 2, 0), plain(store, 3), plain(jump, 1), plain(store_x, 3), plain(load_scratch, 3),
           ret(yes)});
    taken({plain(store, 3), branch(jump_equal, 0, 1, 0), ret(yes), plain(load_scratch, 3), ret(yes)});
    // After a return the kernel goes on with what that path had: here nothing.
    refused({branch(jump_equal, 0, 1, 0), ret(yes), plain(jump, 0), plain(load_scratch, 3), ret(yes)}, 3,
            "scratch word 3");
    refused({branch(jump_equal, 0, 0, 3), plain(jump, 0), plain(jump, 0), ret(no), plain(store, 3),
             plain(load_scratch, 2), ret(yes)},
            5, "scratch word 2");
    const Program after_return{
        branch(jump_equal, 0, 2, 0), plain(jump, 3), plain(jump, 4),         plain(store, 1), plain(jump, 1),
        plain(jump_equal, 0),        ret(no),        plain(load_scratch, 1), ret(yes)};
    EXPECT_EQ(check(after_return).has_value(), kernel_takes(after_return));
}

// Programs that are right or nearly so.
class Maker {
  public:
    explicit Maker(unsigned seed) : random_(seed) {}
    std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
    std::uint32_t number() {
        switch (below(6)) {
            case 0:
                return static_cast<std::uint32_t>(random_());
            case 1:
                return 0U - below(3);
            case 2:
                return 1U << below(32);
            case 3:
                return (1U << below(32)) - 1;
            default:
                return below(70);
        }
    }
    // Something that computes; reads no scratch word of `unwritten` bits.
    sock_filter computation(bool good) {
        static constexpr int operations[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND,
                                             BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH};
        switch (below(good ? 8 : 10)) {
            case 0:
                return plain(load_word, 16 + 4 * below(12));
            case 1:
                return plain(below(2) != 0 ? load_constant : load_x_constant, number());
            case 2:
                return plain(below(2) != 0 ? to_x : from_x);
            case 3:
                return plain(below(4) != 0 ? static_cast<int>(negate) : below(2) != 0 ? load_length : load_x_length);
            case 4:
                return plain(below(2) != 0 ? store : store_x, below(good ? 4 : 17));
            case 5:
                return plain(below(2) != 0 ? load_scratch : load_x_scratch, below(4));
            case 6:
            case 7: {
                const int op = operations[below(9)];
                if (below(2) != 0) return plain(BPF_ALU | op | BPF_X);
                const bool shift = op == BPF_LSH || op == BPF_RSH;
                std::uint32_t k = shift ? below(good ? 32 : 34) : number();
                if (good && op == BPF_DIV && k == 0) k = 3;
                return plain(BPF_ALU | op | BPF_K, k);
            }
            case 8:
                return plain(static_cast<int>(below(256)), number());
            default:
                return plain(load_word, number());
        }
    }
    sock_filter condition(std::uint32_t reach) {
        static constexpr int operations[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
        const int source = below(2) != 0 ? BPF_X : BPF_K;
        return branch(BPF_JMP | operations[below(4)] | source, number(), static_cast<int>(below(reach)),
                      static_cast<int>(below(reach)));
    }
    std::mt19937_64 random_;
};

unsigned rounds(unsigned count) { return std::getenv("BPFWARDEN_SOAK") != nullptr ? count * 50 : count; }

TEST(ClassicCheck, RandomProgramsAsTheKernelDoes) {
    Maker maker(1);
    unsigned good = 0;
    const unsigned count = rounds(1500);
    for (unsigned round = 0; round < count; ++round) {
        Program program;
        const std::uint32_t length = 2 + maker.below(14);
        // Some begin with every scratch word written.
        if (maker.below(3) == 0)
            for (std::uint32_t i = 0; i < 4; ++i) program.push_back(plain(store, i));
        const bool careful = maker.below(3) != 0;
        for (std::uint32_t i = 0; i < length; ++i) {
            const std::uint32_t left = length - i;
            switch (maker.below(6)) {
                case 0:
                    program.push_back(maker.condition(careful ? left : left + 1));
                    break;
                case 1:
                    program.push_back(plain(jump, maker.below(careful ? left : left + 1)));
                    break;
                case 2:
                    program.push_back(maker.below(2) != 0 ? ret(yes) : plain(return_a));
                    break;
                default:
                    program.push_back(maker.computation(careful));
                    break;
            }
        }
        program.push_back(maker.below(20) != 0 ? ret(yes) : plain(load_word));
        const bool ours = check(program).has_value();
        ASSERT_EQ(ours, kernel_takes(program)) << as_assembly(program) << (ours ? "" : check(program).error().text(""));
        good += ours ? 1U : 0U;
    }
    // The generator gives both.
    EXPECT_GT(good, count / 10);
    EXPECT_LT(good, count - count / 10);
}

// ---- run

std::uint32_t computed(int code, std::uint32_t a, std::uint32_t b) {
    const bool by_x = (code & BPF_X) != 0;
    Program program{plain(load_constant, a)};
    if (by_x) program.insert(program.begin(), plain(load_x_constant, b));
    program.push_back(plain(code, by_x ? 0 : b));
    program.push_back(plain(return_a));
    return result(program);
}

TEST(ClassicRun, Arithmetic) {
    for (const int source : {BPF_K, BPF_X}) {
        EXPECT_EQ(computed(BPF_ALU | BPF_ADD | source, 0xffffffff, 2), 1U);
        EXPECT_EQ(computed(BPF_ALU | BPF_SUB | source, 1, 2), 0xffffffffU);
        EXPECT_EQ(computed(BPF_ALU | BPF_MUL | source, 0x10001, 0x10001), 0x20001U);
        EXPECT_EQ(computed(BPF_ALU | BPF_DIV | source, 0xffffffff, 2), 0x7fffffffU);
        EXPECT_EQ(computed(BPF_ALU | BPF_AND | source, 0xc, 0xa), 0x8U);
        EXPECT_EQ(computed(BPF_ALU | BPF_OR | source, 0xc, 0xa), 0xeU);
        EXPECT_EQ(computed(BPF_ALU | BPF_XOR | source, 0xc, 0xa), 0x6U);
        EXPECT_EQ(computed(BPF_ALU | BPF_LSH | source, 3, 31), 0x80000000U);
        EXPECT_EQ(computed(BPF_ALU | BPF_RSH | source, 0xc0000000, 31), 1U);
    }
    EXPECT_EQ(computed(negate, 1, 0), 0xffffffffU);
    // What only X can bring.
    EXPECT_EQ(computed(BPF_ALU | BPF_LSH | BPF_X, 3, 33), 6U);
    EXPECT_EQ(computed(BPF_ALU | BPF_RSH | BPF_X, 3, 32), 3U);
    EXPECT_EQ(computed(BPF_ALU | BPF_DIV | BPF_X, 3, 0), 0U);
}

TEST(ClassicRun, DivisionByZeroReturnsAtOnce) {
    const Program program{plain(load_constant, 5), plain(BPF_ALU | BPF_DIV | BPF_X), ret(yes)};
    const auto outcome = run(program, data(0));
    EXPECT_EQ(outcome.result, 0U);
    EXPECT_EQ(outcome.executed, 2U);
    EXPECT_EQ(outcome.converted, converted_prologue + 1 + 4);
}

TEST(ClassicRun, LoadsAndStores) {
    for (std::uint32_t offset = 0; offset < 64; offset += 4)
        EXPECT_EQ(result({plain(load_word, offset), plain(return_a)}, data(7)), data(7)[offset / 4]);
    EXPECT_EQ(result({plain(return_a)}), 0U);
    EXPECT_EQ(result({plain(load_constant, 3), plain(from_x), plain(return_a)}), 0U);
    EXPECT_EQ(result({plain(load_length), plain(return_a)}), 64U);
    EXPECT_EQ(result({plain(load_x_length), plain(from_x), plain(return_a)}), 64U);
    EXPECT_EQ(result({plain(load_constant, 9), plain(to_x), plain(load_constant, 1), plain(from_x), plain(return_a)}),
              9U);
    for (std::uint32_t word = 0; word < 16; ++word) {
        EXPECT_EQ(result({plain(load_constant, word + 1), plain(store, word), plain(load_constant, 0),
                          plain(load_scratch, word), plain(return_a)}),
                  word + 1);
        EXPECT_EQ(result({plain(load_x_constant, word + 1), plain(store_x, word), plain(load_x_constant, 0),
                          plain(load_x_scratch, word), plain(from_x), plain(return_a)}),
                  word + 1);
    }
}

TEST(ClassicRun, Jumps) {
    const auto goes = [](int op, std::uint32_t a, std::uint32_t b) {
        const std::uint32_t constant =
            result({plain(load_constant, a), branch(BPF_JMP | op | BPF_K, b, 0, 1), ret(1), ret(0)});
        EXPECT_EQ(constant, result({plain(load_constant, a), plain(load_x_constant, b),
                                    branch(BPF_JMP | op | BPF_X, 0, 1, 0), ret(0), ret(1)}));
        return constant == 1;
    };
    EXPECT_TRUE(goes(BPF_JEQ, 5, 5) && !goes(BPF_JEQ, 5, 6));
    EXPECT_TRUE(goes(BPF_JGT, 0x80000000, 1) && !goes(BPF_JGT, 5, 5));
    EXPECT_TRUE(goes(BPF_JGE, 5, 5) && !goes(BPF_JGE, 4, 5) && goes(BPF_JGE, 0xffffffff, 0));
    EXPECT_TRUE(goes(BPF_JSET, 6, 2) && !goes(BPF_JSET, 6, 9) && !goes(BPF_JSET, 6, 0));
    EXPECT_EQ(result({plain(jump, 1), ret(0), ret(1)}), 1U);
}

TEST(ClassicRun, CountsAndPath) {
    const Program program{plain(load_word, 4),
                          branch(jump_equal, AUDIT_ARCH_X86_64, 0, 3),
                          plain(load_word),
                          branch(jump_any_bit, 8, 0, 1),
                          ret(yes),
                          ret(no)};
    std::vector<std::uint32_t> path;
    auto outcome = run(program, data(8), &path);
    EXPECT_EQ(outcome.result, yes);
    EXPECT_EQ(outcome.executed, 5U);
    EXPECT_EQ(path, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
    // load; move and jump; load; jump if set, which is far; move and exit.
    EXPECT_EQ(outcome.converted, 3U + 1 + 2 + 1 + 1 + 2);
    outcome = run(program, data(7));
    EXPECT_EQ(outcome.result, no);
    EXPECT_EQ(outcome.converted, 3U + 1 + 2 + 1 + 2 + 2);
}

// ---- cost

TEST(ClassicCost, AsTheKernelConverts) {
    EXPECT_EQ(converted_length(Program{ret(yes)}), 3U + 2);
    EXPECT_EQ(converted_length(plain(return_a)), 1U);
    EXPECT_EQ(converted_length(plain(load_word)), 1U);
    EXPECT_EQ(converted_length(plain(BPF_ALU | BPF_DIV | BPF_X)), 5U);
    EXPECT_EQ(converted_length(plain(BPF_ALU | BPF_DIV | BPF_K, 3)), 1U);
    EXPECT_EQ(converted_length(plain(jump, 3)), 1U);
    for (const int code : {jump_equal, jump_greater, jump_not_less}) {
        EXPECT_EQ(converted_length(branch(code, 1, 5, 0)), 1U);
        EXPECT_EQ(converted_length(branch(code, 1, 0, 5)), 1U);
        EXPECT_EQ(converted_length(branch(code, 1, 5, 5)), 2U);
        EXPECT_EQ(converted_length(branch(code, 0x7fffffff, 5, 0)), 1U);
        EXPECT_EQ(converted_length(branch(code, 0x80000000, 5, 0)), 2U);
        EXPECT_EQ(converted_length(branch(code, 0x80000000, 5, 5)), 3U);
    }
    EXPECT_EQ(converted_length(branch(jump_any_bit, 1, 5, 0)), 1U);
    EXPECT_EQ(converted_length(branch(jump_any_bit, 1, 0, 5)), 2U);
    EXPECT_EQ(converted_length(branch(BPF_JMP | BPF_JEQ | BPF_X, 0x80000000, 0, 5)), 1U);
}

// ---- the kernel's emulator

TEST(ClassicCache, UnderstandsFewInstructions) {
    const auto of = [](const Program& program, std::uint32_t nr = 59) {
        EXPECT_TRUE(check(program));
        return constant_action(program, AUDIT_ARCH_X86_64, nr);
    };
    EXPECT_EQ(of({ret(yes)}), yes);
    EXPECT_EQ(of({ret(no)}), no);
    EXPECT_EQ(of({plain(load_word, 0), branch(jump_equal, 59, 0, 1), ret(yes), ret(no)}), yes);
    EXPECT_EQ(of({plain(load_word, 4), branch(jump_equal, AUDIT_ARCH_X86_64, 0, 1), ret(yes), ret(no)}), yes);
    EXPECT_EQ(of({plain(load_word, 0), branch(jump_greater, 59, 0, 1), ret(yes), ret(no)}), no);
    EXPECT_EQ(of({plain(load_word, 0), branch(jump_not_less, 59, 0, 1), ret(yes), ret(no)}), yes);
    EXPECT_EQ(of({plain(load_word, 0), branch(jump_any_bit, 4, 0, 1), ret(yes), ret(no)}), no);
    EXPECT_EQ(
        of({plain(load_word, 0), plain(BPF_ALU | BPF_AND | BPF_K, 3), branch(jump_equal, 3, 0, 1), ret(yes), ret(no)}),
        yes);
    EXPECT_EQ(of({plain(jump, 1), ret(no), ret(yes)}), yes);
    // Everything else is given up on, whatever comes of it.
    for (const int code : {int{load_constant}, int{load_length}, int{load_x_constant}, int{load_x_length}, int{store},
                           int{store_x}, int{to_x}, int{from_x}, int{negate}, BPF_ALU | BPF_ADD | BPF_K,
                           BPF_ALU | BPF_OR | BPF_K, BPF_ALU | BPF_RSH | BPF_K, BPF_ALU | BPF_AND | BPF_X,
                           BPF_JMP | BPF_JEQ | BPF_X, BPF_JMP | BPF_JGE | BPF_X, int{return_a}})
        EXPECT_EQ(of({plain(code), ret(yes)}), std::nullopt) << code;
    for (std::uint32_t offset = 8; offset < 64; offset += 4)
        EXPECT_EQ(of({plain(load_word, offset), ret(yes)}), std::nullopt);
    // But only where it comes by.
    EXPECT_EQ(of({plain(load_word, 0), branch(jump_equal, 59, 1, 0), plain(load_word, 16), ret(yes)}), yes);
}

TEST(ClassicCache, OnlyPlainAllowAndOnlyNumbersWithABit) {
    const Program allowed{ret(yes)};
    EXPECT_TRUE(cached(allowed, AUDIT_ARCH_X86_64, 0));
    EXPECT_TRUE(cached(allowed, AUDIT_ARCH_I386, 400));
    EXPECT_TRUE(cached(allowed, AUDIT_ARCH_AARCH64, 400));
    EXPECT_FALSE(cached(allowed, AUDIT_ARCH_X86_64, 0x40000000));
    EXPECT_FALSE(cached(allowed, AUDIT_ARCH_X86_64, 520));
    EXPECT_FALSE(cached(allowed, AUDIT_ARCH_X86_64, 0xffffffff));
    EXPECT_FALSE(cached(allowed, 0x1234, 0));
    for (const std::uint32_t other : {yes | 1U, static_cast<std::uint32_t>(SECCOMP_RET_LOG), no, 0U})
        EXPECT_FALSE(cached(Program{ret(other)}, AUDIT_ARCH_X86_64, 0)) << other;
}

// ---- the kernel's interpreter, or what it compiles to

// The result of a program that never returns itself but goes on to its end, twelve bits at a time by errno.
TEST(ClassicRun, RandomProgramsAsTheKernelDoes) {
    constexpr std::uint32_t number = 5000;  // no system call
    Maker maker(2);
    const unsigned count = rounds(150);
    for (unsigned round = 0; round < count; ++round) {
        Program program{plain(load_word, 0), branch(jump_equal, number, 1, 0), ret(yes)};
        for (std::uint32_t i = 0; i < 4; ++i) program.push_back(plain(store_x, i));
        const std::uint32_t length = 4 + maker.below(30);
        for (std::uint32_t i = 0; i < length; ++i) {
            if (maker.below(6) == 0)
                program.push_back(maker.condition(length - i));
            else
                program.push_back(maker.computation(true));
            // A division by zero would kill the child: the divisor gets a bit.
            if (program.back().code == (BPF_ALU | BPF_DIV | BPF_X)) program.back().code = BPF_ALU | BPF_MUL | BPF_X;
            // The sixth argument says which bits to return.
            if (program.back().code == load_word && program.back().k >= 56) program.back().k = 16;
        }
        for (const auto& insn : {plain(store, 15), plain(load_word, 56), plain(to_x), plain(load_scratch, 15),
                                 plain(BPF_ALU | BPF_RSH | BPF_X), plain(BPF_ALU | BPF_AND | BPF_K, 0xfff),
                                 plain(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), plain(return_a)})
            program.push_back(insn);
        ASSERT_TRUE(check(program)) << as_assembly(program);
        std::vector<Call> calls;
        for (unsigned i = 0; i < 8; ++i) {
            Call call{.number = number};
            for (auto& arg : call.args) arg = std::uint64_t{maker.number()} << 32 | maker.number();
            for (const std::uint64_t shift : {0U, 12U, 24U}) {
                call.args[5] = shift;
                calls.push_back(call);
            }
        }
        const auto results = results_in_child(program, calls);
        ASSERT_TRUE(results) << as_assembly(program);
        for (std::size_t i = 0; i < calls.size(); ++i) {
            Memory words{number, AUDIT_ARCH_X86_64};
            for (std::size_t arg = 0; arg < 6; ++arg) {
                words[4 + 2 * arg] = static_cast<std::uint32_t>(calls[i].args[arg]);
                words[5 + 2 * arg] = static_cast<std::uint32_t>(calls[i].args[arg] >> 32);
            }
            const std::uint32_t ours = run(program, words).result;
            ASSERT_EQ(ours & SECCOMP_RET_ACTION_FULL, std::uint32_t{SECCOMP_RET_ERRNO});
            ASSERT_EQ(static_cast<long>(ours & SECCOMP_RET_DATA), -(*results)[i]) << as_assembly(program);
        }
    }
}

TEST(ClassicRun, DivisionByZeroKillsInTheKernelToo) {
    Program program{plain(load_word, 0),     branch(jump_equal, 5000, 1, 0),   ret(yes),
                    plain(load_constant, 1), plain(BPF_ALU | BPF_DIV | BPF_X), ret(SECCOMP_RET_ERRNO)};
    const Call call{.number = 5000};
    EXPECT_FALSE(results_in_child(program, {{call}}));
    program[4] = plain(BPF_ALU | BPF_DIV | BPF_K, 1);
    EXPECT_TRUE(results_in_child(program, {{call}}));
}

// ---- text and files

TEST(ClassicText, Assembly) {
    const Program program{plain(load_word, 4),
                          branch(jump_equal, AUDIT_ARCH_X86_64, 1, 0),
                          ret(SECCOMP_RET_KILL_PROCESS),
                          plain(load_word, 24),
                          plain(BPF_ALU | BPF_RSH | BPF_X),
                          branch(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
                          plain(store, 3),
                          plain(return_a),
                          plain(0x1234, 7)};
    EXPECT_EQ(as_assembly(program, [](std::size_t at) { return at == 2 ? "kill" : ""; }),
              "   0: ld [4]                           ; arch\n"
              "   1: jeq #0xc000003e, 3, 2\n"
              "   2: ret #0x80000000                  ; kill\n"
              "   3: ld [24]                          ; args[1] low\n"
              "   4: rsh x\n"
              "   5: jgt x, 6, 7\n"
              "   6: st M[3]\n"
              "   7: ret a\n"
              "   8: .insn 0x1234, 0, 0, 0x7\n");
    EXPECT_EQ(word_name(8), "ip low");
    EXPECT_EQ(word_name(60), "args[5] high");
    EXPECT_EQ(as_json(Program{branch(jump_equal, 5, 1, 0), ret(yes)}),
              "[{\"code\":21,\"jt\":1,\"jf\":0,\"k\":5},\n {\"code\":6,\"jt\":0,\"jf\":0,\"k\":2147418112}]\n");
    EXPECT_EQ(
        as_c(Program{ret(yes)}, "f"),
        "static const struct sock_filter f[1] = {\n    {0x06,   0,   0, 0x7fff0000},  //   0: ret #0x7fff0000\n};\n");
}

TEST(ClassicText, GraphHasABlockForEachTarget) {
    const Program program{plain(load_word, 0), branch(jump_equal, 5, 1, 0), plain(jump, 1), ret(yes), ret(no)};
    EXPECT_EQ(as_dot(program),
              "digraph filter {\n  node [shape=box, fontname=monospace];\n"
              "  b0 [label=\"0: ld [0] ; nr\\l1: jeq #0x5, 3, 2\\l\"];\n  b0 -> b3 [label=yes];\n"
              "  b0 -> b2 [label=no];\n  b2 [label=\"2: jmp 4\\l\"];\n  b2 -> b4;\n"
              "  b3 [label=\"3: ret #0x7fff0000\\l\"];\n  b4 [label=\"4: ret #0x50001\\l\"];\n}\n");
}

TEST(ClassicText, EveryOpcodeHasAName) {
    for (int code = 0; code < 256; ++code) {
        const Program program{plain(store, 4), branch(code, 4, 0, 0), ret(yes), ret(yes), ret(yes), ret(yes), ret(yes),
                              ret(yes)};
        EXPECT_EQ(check(program).has_value(), !assembly(program, 1).starts_with(".insn")) << code;
    }
}

TEST(ClassicRaw, RoundTrip) {
    const Program program{branch(jump_equal, 0x12345678, 1, 0), ret(no), ret(yes)};
    const auto bytes = write_raw(program);
    EXPECT_EQ(bytes.substr(0, 8), std::string("\x15\x00\x01\x00\x78\x56\x34\x12", 8));
    const auto again = read_raw(bytes);
    ASSERT_TRUE(again);
    EXPECT_EQ(write_raw(*again), bytes);
    EXPECT_EQ(again->size(), program.size());
}

TEST(ClassicRaw, RefusesOddLengths) {
    const auto why = [](const std::string& bytes) { return read_raw(bytes).error().why(); };
    EXPECT_THAT(why(""), HasSubstr("no instruction"));
    for (std::size_t length : {1U, 7U, 9U, 15U}) EXPECT_THAT(why(std::string(length, 'x')), HasSubstr("8 bytes"));
    EXPECT_THAT(why(std::string(4097 * 8, '\0')), HasSubstr("4096"));
    EXPECT_TRUE(read_raw(std::string(4096 * 8, '\0')));
}

}  // namespace
}  // namespace bpfwarden::bytecode
