// SPDX-License-Identifier: Apache-2.0
#include "filter/evaluate.hpp"

#include <gmock/gmock.h>

#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

using bytecode::insn;
using testing::HasSubstr;

const bpf_insn allows = insn(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, SECCOMP_RET_ALLOW);
const bpf_insn fails = insn(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO | 1);

bytecode::Program program(std::vector<bpf_insn> code) {
    bytecode::Program made;
    made.code = std::move(code);
    return made;
}

Data data_of(std::uint32_t arch, std::uint32_t nr) {
    Data data;
    data[Word::nr] = nr;
    data[Word::arch] = arch;
    return data;
}

// if (nr == 3) ALLOW, else ERRNO, whatever the architecture
bytecode::Program allows_three() {
    return program({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0), allows, insn(BPF_JMP32 | BPF_JEQ | BPF_K, 2, 0, 1, 3),
                    fails, bytecode::leave()});
}

TEST(Evaluate, EachArchitectureHasItsPartAndTheRestOne) {
    const auto result = evaluate(allows_three(), small_tables());
    ASSERT_TRUE(result) << result.error().text("");
    const auto& function = result->function;
    ASSERT_EQ(function.parts.size(), 2U);
    const Node no = function.decisions->action(error_of(1)), yes = function.decisions->action(allow);
    const std::vector<filter::Run> runs{{0, 2, no}, {3, 3, yes}, {4, 0xffffffff, no}};
    EXPECT_EQ(function.parts[0].runs, runs);
    EXPECT_EQ(function.parts[1].runs, runs);
    EXPECT_EQ(function.evaluate(data_of(77, 3)), allow);
    EXPECT_EQ(function.evaluate(data_of(77, 4)), error_of(1));
    // Three evaluations of what is left need no test of the number but one, for the other architectures.
    EXPECT_EQ((*function.decisions)[function.other].kind, NodeKind::test);
}

// A prefix that is too long finds nothing, whatever comes after its length; it must be set all the same.
TEST(Evaluate, AllOfAKeyMustBeSet) {
    for (const int length : {8, 33})
        for (const bool set : {true, false}) {
            std::vector<bpf_insn> code{insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -8, length)};
            if (set) code.push_back(insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 10));
            code.push_back(insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0));
            code.push_back(insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -8));
            code.push_back(insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, 0));
            code.push_back(insn(0, 0, 0, 0, 0));
            code.push_back(bytecode::call(BPF_FUNC_map_lookup_elem));
            code.push_back(insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0));
            code.push_back(fails);
            code.push_back(bytecode::leave());
            code.push_back(allows);
            code.push_back(bytecode::leave());
            auto made = program(std::move(code));
            made.maps.push_back({.name = "t", .kind = bytecode::MapKind::lpm_trie, .key_size = 8, .value_size = 1});
            made.maps.front().entries = {{{8, 0, 0, 0, 10, 0, 0, 0}, {1}}};
            const auto result = evaluate(made, small_tables());
            ASSERT_EQ(result.has_value(), set) << length;
            if (!set) {
                EXPECT_THAT(result.error().what(), HasSubstr("that was not set"));
                continue;
            }
            EXPECT_EQ(result->function.evaluate(data_of(AUDIT_ARCH_X86_64, 1)), length == 8 ? error_of(1) : allow);
        }
}

// Also on a side of a branch that is short enough to be computed beside the other.
TEST(Evaluate, AJumpWithReservedFieldsIsNoProgram) {
    for (const unsigned reserved : {0U, 3U}) {
        const auto result = evaluate(
            program({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0), allows, insn(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 2, 5),
                     fails, insn(BPF_JMP | BPF_JA, reserved, 0, 0, 0), bytecode::leave()}),
            small_tables());
        ASSERT_EQ(result.has_value(), reserved == 0);
        if (!result) {
            EXPECT_THAT(result.error().what(), HasSubstr("is no program"));
        }
    }
}

TEST(Evaluate, OtherArchitecturesCanBeDecidedFor) {
    auto options = small_tables();
    options.bad_arch = SECCOMP_RET_KILL_PROCESS;
    const auto result = evaluate(allows_three(), options);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->function.evaluate(data_of(77, 3)), std::uint32_t{SECCOMP_RET_KILL_PROCESS});
    EXPECT_EQ(result->function.evaluate(data_of(AUDIT_ARCH_I386, 3)), allow);
}

TEST(Evaluate, NumbersOfTheTableAreNoCaseOfTheRest) {
    // if (nr > 25 && nr != 1000 && !x32) ALLOW: in the rest that is known.
    auto options = small_tables();
    options.architectures.front().numbers = numbers_below(26);
    const auto result = evaluate(program({insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0), allows,
                                          insn(BPF_JMP32 | BPF_JGT | BPF_K, 2, 0, 1, 25), fails, bytecode::leave()}),
                                 options);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->function.parts.front().runs.size(), 2U);
    EXPECT_EQ((*result->function.decisions)[result->function.parts.front().runs.back().node].kind, NodeKind::action);
}

TEST(Evaluate, WhatDoesNotDependOnTheNumberIsEvaluatedOnce) {
    // 14 tests of arguments, one after the other, each with an end of its own.
    std::vector<bpf_insn> code;
    for (int one = 0; one < 14; ++one) {
        code.push_back(insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16 + 4 * (one % 12), 0));
        code.push_back(insn(BPF_JMP32 | BPF_JNE | BPF_K, 2, 0, 2, one));
        code.push_back(insn(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, std::int64_t{SECCOMP_RET_ERRNO} + one + 1));
        code.push_back(bytecode::leave());
    }
    code.push_back(allows);
    code.push_back(bytecode::leave());
    const auto result = evaluate(program(code), small_tables(400));
    ASSERT_TRUE(result) << result.error().text("");
    EXPECT_LT(result->statistics.states, 100U);
    EXPECT_EQ(result->function.parts.front().runs.size(), 1U);
}

TEST(Evaluate, PathsThatDifferInNothingReadAgainAreOne) {
    // 20 branches that leave different numbers on the stack and in registers, none of which is read: 2^20 paths.
    std::vector<bpf_insn> code;
    for (int one = 0; one < 20; ++one) {
        code.push_back(insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16 + 4 * (one % 12), 0));
        code.push_back(insn(BPF_JMP32 | BPF_JNE | BPF_K, 2, 0, 2, one));
        code.push_back(insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4 * (one + 1), one));
        code.push_back(bytecode::move(7, one));
    }
    code.push_back(allows);
    code.push_back(bytecode::leave());
    const auto result = evaluate(program(code), small_tables());
    ASSERT_TRUE(result) << result.error().text("");
    EXPECT_LT(result->statistics.steps, 5000U);
    EXPECT_EQ(result->function.decisions->size(), 1U);
}

TEST(Evaluate, AMaskOfManyTestsIsNoMultitudeOfPaths) {
    std::vector<bpf_insn> code{bytecode::move(3, 0)};
    for (int one = 0; one < 16; ++one) {
        code.push_back(insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16 + 4 * (one % 12), 0));
        code.push_back(insn(BPF_ALU64 | BPF_RSH | BPF_K, 2, 0, 0, one));
        code.push_back(insn(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0x7f));
        code.push_back(insn(BPF_JMP32 | BPF_JNE | BPF_K, 2, 0, 1, one + 3));
        code.push_back(insn(BPF_ALU64 | BPF_OR | BPF_K, 3, 0, 0, 1 << one));
    }
    code.push_back(insn(BPF_JMP32 | BPF_JNE | BPF_K, 3, 0, 2, 0x5a5a));
    code.push_back(allows);
    code.push_back(bytecode::leave());
    code.push_back(fails);
    code.push_back(bytecode::leave());
    const auto made = program(code);
    const auto result = evaluate(made, small_tables());
    ASSERT_TRUE(result) << result.error().text("");
    EXPECT_LT(result->statistics.forks, 2000U) << "65,535 where each test parts the paths";
    EXPECT_LT(result->function.decisions->size(), 100U);
    Random random(5);
    EXPECT_EQ(agreements(made, result->function, random, 500, 30), 500U);
}

TEST(Evaluate, AnActionIsProvenAndItsDataAreKept) {
    const auto returns = [](std::vector<bpf_insn> code) {
        code.insert(code.begin(), insn(BPF_LDX | BPF_MEM | BPF_DW, 0, 1, 16, 0));
        code.push_back(bytecode::leave());
        return evaluate(program(std::move(code)), small_tables());
    };
    // ALLOW with data is ALLOW; ERRNO | arg is computed; an errno above 4095 is 4095.
    const auto allowed = returns(
        {insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, 0xffff), insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_ALLOW)});
    ASSERT_TRUE(allowed);
    EXPECT_EQ(allowed->function.decisions->size(), 1U);
    const auto error = returns(
        {insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, 0xffff), insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO)});
    ASSERT_TRUE(error);
    auto data = data_of(AUDIT_ARCH_X86_64, 1);
    data.set_arg(0, 77);
    EXPECT_EQ(error->function.evaluate(data), error_of(77));
    data.set_arg(0, 5000);
    EXPECT_EQ(error->function.evaluate(data), error_of(4095));
    // One bit more, and it may be another action.
    const auto open = returns({insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, 0x1ffff),
                               insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO)});
    ASSERT_TRUE(open) << "ERRNO with bit 16 set is the same";
    const auto other = returns({insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, 0x2ffff),
                                insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO)});
    EXPECT_FALSE(other);
}

TEST(Evaluate, LimitsAreKept) {
    const auto slow = [] {
        // for (i = 0; i < 1000000; i++);
        return program({bytecode::move(2, 0), insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, 1),
                        insn(BPF_JMP | BPF_JLT | BPF_K, 2, 0, -2, 1'000'000), allows, bytecode::leave()});
    }();
    auto options = small_tables(0);
    options.limits.work = 100'000;
    const auto refused = evaluate(slow, options);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what(), HasSubstr("takes more than 100000 steps to evaluate"));
    EXPECT_FALSE(evaluate(program({}), options));
    EXPECT_FALSE(evaluate(program(std::vector<bpf_insn>(70'000, allows)), options));
}

TEST(Evaluate, WhatIsNotForFiltersIsNamed) {
    const auto why = [](bpf_insn one) {
        const auto result = evaluate(program({one, bytecode::move(0, 0), bytecode::leave()}), {});
        return result ? std::string("accepted") : result.error().text("");
    };
    EXPECT_THAT(why(insn(BPF_JMP | BPF_CALL | BPF_X, 0, 0, 0, 1)), HasSubstr("calls through a function pointer"));
    EXPECT_THAT(why(insn(BPF_JMP | BPF_JA | BPF_X, 1, 0, 0, 0)), HasSubstr("-fno-jump-tables"));
    EXPECT_THAT(why(insn(BPF_JMP | 0xe0, 0, 0, 0, 0)), HasSubstr("may_goto"));
    EXPECT_THAT(why(insn(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0)), HasSubstr("reads a packet"));
    EXPECT_THAT(why(bytecode::call(BPF_FUNC_loop)), HasSubstr("bpf_loop"));
    EXPECT_THAT(why(bytecode::call_kfunc(5)), HasSubstr("calls a function of the kernel"));
    EXPECT_THAT(why(bytecode::call_own(-1)), HasSubstr("more than eight deep"));
    EXPECT_THAT(why(insn(BPF_ALU64 | BPF_MOV | BPF_K, 10, 0, 0, 0)), HasSubstr("frame pointer"));
    EXPECT_THAT(why(insn(0xff, 0, 0, 0, 0)), HasSubstr("unknown opcode"));
    EXPECT_THAT(why(insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 1, 1, 1)), HasSubstr("arena"));
}

TEST(Evaluate, APointerToAFrameThatIsGoneIsNone) {
    // f() { return &local; }, and f(&p) { *p = &local; }
    const auto returned =
        evaluate(program({bytecode::call_own(2), insn(BPF_LDX | BPF_MEM | BPF_W, 0, 0, 0, 0), bytecode::leave(),
                          insn(BPF_ALU64 | BPF_MOV | BPF_X, 0, 10, 0, 0), bytecode::leave()}),
                 {});
    ASSERT_FALSE(returned);
    EXPECT_THAT(returned.error().what(), HasSubstr("returns the address of a local variable"));
    const auto stored = evaluate(
        program({insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 10, 0, 0), insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -8),
                 bytecode::call_own(3), insn(BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -8, 0), allows, bytecode::leave(),
                 insn(BPF_STX | BPF_MEM | BPF_DW, 1, 10, 0, 0), bytecode::move(0, 0), bytecode::leave()}),
        {});
    ASSERT_FALSE(stored);
    EXPECT_THAT(stored.error().what(), HasSubstr("was not set"));
}

TEST(Evaluate, ArraysAndNestedPrefixesAreFoundAsTheKernelFindsThem) {
    bytecode::Program made;
    auto& array = made.maps.emplace_back();
    array = {.name = "a", .kind = bytecode::MapKind::array, .value_size = 2};
    for (std::uint64_t one = 0; one < 6; ++one)
        array.entries.push_back({bytecode::bytes_of(one, 4), bytecode::bytes_of(10 + one * one, 2)});
    auto& trie = made.maps.emplace_back();
    trie = {.name = "t", .kind = bytecode::MapKind::lpm_trie, .key_size = 8, .value_size = 2};
    trie.entries = {{{0, 0, 0, 0, 0, 0, 0, 0}, {1, 0}},
                    {{8, 0, 0, 0, 10, 0, 0, 0}, {2, 0}},
                    {{24, 0, 0, 0, 10, 0, 1, 0}, {3, 0}},
                    {{32, 0, 0, 0, 10, 0, 1, 7}, {4, 0}},
                    {{9, 0, 0, 0, 10, 128, 0, 0}, {5, 0}}};
    const auto look_up = [&](int map, int length) {
        made.code = {insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0),
                     insn(BPF_STX | BPF_MEM | BPF_W, 10, 2, -4, 0),
                     insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -8, length),
                     insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
                     insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, map == 0 ? -4 : -8),
                     insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
                     insn(0, 0, 0, 0, 0),
                     bytecode::call(BPF_FUNC_map_lookup_elem),
                     insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1, 0),
                     insn(BPF_LDX | BPF_MEM | BPF_H, 0, 0, 0, 0),
                     insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO),
                     bytecode::leave()};
        const auto result = evaluate(made, small_tables(1));
        EXPECT_TRUE(result) << result.error().text("");
        std::vector<std::uint32_t> seen;
        for (const std::uint32_t key : {0U, 5U, 6U, 0x0000000aU, 0x0701000aU, 0x0801000aU, 0x0000800aU, 0xffffff0aU}) {
            auto data = data_of(AUDIT_ARCH_X86_64, 0);
            data.set_arg(0, key);
            seen.push_back(result->function.evaluate(data) & 0xffff);
            EXPECT_EQ(seen.back(), static_cast<std::uint32_t>(*bytecode::interpret(made, context_of(data))) & 0xffff);
        }
        return seen;
    };
    EXPECT_EQ(look_up(0, 0), (std::vector<std::uint32_t>{10, 35, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(look_up(1, 32), (std::vector<std::uint32_t>{1, 1, 1, 2, 4, 3, 5, 5}));
    // A shorter prefix is covered only by those that are no longer.
    EXPECT_EQ(look_up(1, 8), (std::vector<std::uint32_t>{1, 1, 1, 2, 2, 2, 2, 2}));
    EXPECT_EQ(look_up(1, 33), (std::vector<std::uint32_t>(8, 0))) << "the kernel takes no such key";
}

TEST(Evaluate, LongKeysAreComparedInPartsUpToALimit) {
    bytecode::Program made;
    made.maps.push_back({.name = "m", .key_size = 16});
    const auto fill = [&](std::uint64_t count) {
        for (std::uint64_t one = made.maps[0].entries.size(); one < count; ++one) {
            auto key = bytecode::bytes_of(one * 3, 8);
            const auto rest = bytecode::bytes_of(one % 5, 8);
            key.insert(key.end(), rest.begin(), rest.end());
            made.maps[0].entries.push_back({key, {0}});
        }
    };
    made.code = {insn(BPF_LDX | BPF_MEM | BPF_DW, 2, 1, 16, 0),
                 insn(BPF_LDX | BPF_MEM | BPF_DW, 3, 1, 24, 0),
                 insn(BPF_STX | BPF_MEM | BPF_DW, 10, 2, -16, 0),
                 insn(BPF_STX | BPF_MEM | BPF_DW, 10, 3, -8, 0),
                 insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
                 insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -16),
                 insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, 0),
                 insn(0, 0, 0, 0, 0),
                 bytecode::call(BPF_FUNC_map_lookup_elem),
                 insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0),
                 allows,
                 bytecode::leave(),
                 fails,
                 bytecode::leave()};
    fill(4000);
    const auto result = evaluate(made, small_tables(1));
    ASSERT_TRUE(result) << result.error().text("");
    auto data = data_of(AUDIT_ARCH_X86_64, 0);
    data.set_arg(0, 3 * 3998);
    data.set_arg(1, 3998 % 5);
    EXPECT_EQ(result->function.evaluate(data), allow);
    data.set_arg(1, 3999 % 5);
    EXPECT_EQ(result->function.evaluate(data), error_of(1));
    fill(60'000);
    const auto refused = evaluate(made, small_tables(1));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what(), HasSubstr("looks up one of 60000 long keys in `m`"));
}

TEST(Evaluate, MapsThatContradictThemselvesAreRefused) {
    auto made = allows_three();
    made.maps.push_back({.name = "m", .entries = {{{1, 2}, {3}}}});
    const auto result = evaluate(made, {});
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().why(), HasSubstr("another size"));
}

}  // namespace
}  // namespace bpfwarden::filter
