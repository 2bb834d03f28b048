// SPDX-License-Identifier: Apache-2.0
#include "filter/compare.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>

#include "filter/action.hpp"
#include "filter/read_classic.hpp"

namespace bpfwarden::filter {
namespace {

constexpr sock_filter load(Word word) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(word) * 4); }
constexpr sock_filter ret(std::uint32_t value) { return BPF_STMT(BPF_RET | BPF_K, value); }
constexpr sock_filter jump(int op, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
    return {static_cast<std::uint16_t>(BPF_JMP | op | BPF_K), yes, no, k};
}

Function function_of(const std::vector<sock_filter>& program) {
    auto function = read_classic(program);
    EXPECT_TRUE(function);
    return std::move(*function);
}

TEST(Compare, TheSameFunctionWrittenDifferently) {
    // nr in 5…9, by range and one by one.
    const std::vector<sock_filter> range{load(Word::nr), jump(BPF_JGE, 5, 0, 2), jump(BPF_JGT, 9, 1, 0), ret(allow),
                                         ret(error_of(1))};
    const std::vector<sock_filter> list{load(Word::nr),
                                        jump(BPF_JEQ, 5, 4, 0),
                                        jump(BPF_JEQ, 6, 3, 0),
                                        jump(BPF_JEQ, 7, 2, 0),
                                        jump(BPF_JEQ, 8, 1, 0),
                                        jump(BPF_JEQ, 9, 0, 1),
                                        ret(allow),
                                        ret(error_of(1))};
    EXPECT_EQ(compare(function_of(range), function_of(list)).answer, Answer::same);
    auto other = list;
    other[4].k = 10;
    const auto comparison = compare(function_of(range), function_of(other));
    ASSERT_EQ(comparison.answer, Answer::different);
    EXPECT_TRUE(comparison.example[Word::nr] == 8 || comparison.example[Word::nr] == 10);
    EXPECT_NE(comparison.one, comparison.other);
}

// Data that the kernel ignores makes no difference.
TEST(Compare, AllowWithDataIsAllow) {
    EXPECT_EQ(compare(function_of({ret(allow)}), function_of({ret(allow | 5)})).answer, Answer::same);
    EXPECT_EQ(compare(function_of({ret(error_of(1))}), function_of({ret(error_of(2))})).answer, Answer::different);
}

TEST(Compare, ScratchMemoryAndArithmetic) {
    const std::vector<sock_filter> plain{load(arg_low(0)), jump(BPF_JEQ, 0x10, 0, 1), ret(allow), ret(error_of(1))};
    const std::vector<sock_filter> long_way{load(arg_low(0)),
                                            BPF_STMT(BPF_ST, 3),
                                            BPF_STMT(BPF_LDX | BPF_MEM, 3),
                                            BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 7),
                                            BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
                                            BPF_STMT(BPF_MISC | BPF_TXA, 0),
                                            BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0xff),
                                            jump(BPF_JEQ, 0xef, 0, 1),
                                            ret(allow),
                                            ret(error_of(1))};
    EXPECT_EQ(compare(function_of(plain), function_of(long_way)).answer, Answer::same);
}

TEST(Compare, DivisionByZeroKills) {
    const std::vector<sock_filter> divides{BPF_STMT(BPF_LD | BPF_IMM, 8),
                                           BPF_STMT(BPF_MISC | BPF_TAX, 0),
                                           load(arg_low(0)),
                                           BPF_STMT(BPF_MISC | BPF_TAX, 0),
                                           BPF_STMT(BPF_LD | BPF_IMM, 8),
                                           BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
                                           ret(allow)};
    const std::vector<sock_filter> says_so{load(arg_low(0)), jump(BPF_JEQ, 0, 0, 1), ret(SECCOMP_RET_KILL_THREAD),
                                           ret(allow)};
    EXPECT_EQ(compare(function_of(divides), function_of(says_so)).answer, Answer::same);
}

TEST(Compare, AReturnedRegister) {
    const std::vector<sock_filter> computed{load(arg_low(0)), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 3),
                                            BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
                                            BPF_STMT(BPF_RET | BPF_A, 0)};
    const std::vector<sock_filter> listed{load(arg_low(0)),       BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 3),
                                          jump(BPF_JEQ, 0, 3, 0), jump(BPF_JEQ, 1, 3, 0),
                                          jump(BPF_JEQ, 2, 3, 0), ret(error_of(3)),
                                          ret(error_of(0)),       ret(error_of(1)),
                                          ret(error_of(2))};
    EXPECT_EQ(compare(function_of(computed), function_of(listed)).answer, Answer::same);
}

// Not decided is its own answer.
TEST(Compare, SaysWhenItDoesNotKnow) {
    const std::vector<sock_filter> product{load(arg_low(0)),       BPF_STMT(BPF_MISC | BPF_TAX, 0),
                                           load(arg_low(1)),       BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
                                           jump(BPF_JEQ, 6, 0, 1), ret(allow),
                                           ret(error_of(1))};
    EXPECT_EQ(compare(function_of(product), function_of({ret(allow)})).answer, Answer::undecided);
}

TEST(Compare, AFunctionOfPartsAndAProgram) {
    Function function;
    auto& decisions = *function.decisions;
    auto& terms = *function.terms;
    const Node yes = decisions.action(allow), no = decisions.action(error_of(1));
    Runs runs(no);
    runs.set(16, 16,
             decisions.test(terms.equal(terms.pair(arg_low(1), arg_high(1)), terms.constant(0x123456789)), yes, no));
    function.parts.push_back({AUDIT_ARCH_X86_64, std::move(runs).done()});
    function.other = decisions.action(SECCOMP_RET_KILL_PROCESS);
    std::vector<sock_filter> program{load(Word::arch),
                                     jump(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
                                     ret(SECCOMP_RET_KILL_PROCESS),
                                     load(Word::nr),
                                     jump(BPF_JEQ, 16, 0, 4),
                                     load(arg_high(1)),
                                     jump(BPF_JEQ, 1, 0, 2),
                                     load(arg_low(1)),
                                     jump(BPF_JEQ, 0x23456789, 1, 0),
                                     ret(error_of(1)),
                                     ret(allow)};
    EXPECT_EQ(compare(function, function_of(program)).answer, Answer::same);
    program[8].k ^= 1;
    EXPECT_EQ(compare(function, function_of(program)).answer, Answer::different);
}

}  // namespace
}  // namespace bpfwarden::filter
