// SPDX-License-Identifier: Apache-2.0
#include "bytecode/reading.hpp"

#include <cerrno>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytecode/instruction.hpp"
#include "unit/bytecode/code.hpp"

namespace bpfwarden::bytecode {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Reading good(const Stream& code) {
    auto reading = read(code);
    EXPECT_TRUE(reading) << reading.error().text("");
    return reading ? *reading : Reading{};
}

// Refused, at that instruction.
void bad(const Stream& code, std::size_t at, std::string_view why) {
    const auto reading = read(code);
    ASSERT_FALSE(reading) << why;
    EXPECT_EQ(reading.error().number(), EINVAL);
    EXPECT_THAT(reading.error().what(), HasSubstr("instruction " + std::to_string(at) + ":"));
    EXPECT_THAT(reading.error().what(), HasSubstr(std::string(why)));
}

TEST(Reading, NothingAtAll) {
    const auto reading = good(program({}));
    EXPECT_EQ(reading, (Reading{.instructions = 2, .trivial = true}));
}

TEST(Reading, OnlyTheTwoInstructionsAreTrivial) {
    EXPECT_TRUE(good({insn(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, 9), leave()}).trivial);
    EXPECT_FALSE(good({move(1, 0), leave()}).trivial);
    EXPECT_FALSE(good({insn(BPF_ALU64 | BPF_MOV | BPF_X, 0, 1, 0, 0), leave()}).trivial);
    EXPECT_FALSE(good({move(0, 0), move(0, 0)}).trivial);
    EXPECT_FALSE(good({move(0, 0), move(0, 0), leave()}).trivial);
    EXPECT_FALSE(good({call(5), leave()}).trivial);
    EXPECT_FALSE(good({leave()}).trivial);
}

TEST(Reading, Size) {
    EXPECT_EQ(read({}).error().number(), E2BIG);
    EXPECT_TRUE(read(Stream(max_instructions, move(0, 0))));
    const auto large = read(Stream(max_instructions + 1, move(0, 0)));
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().number(), E2BIG);
}

TEST(Reading, HelpersByNumberEachOnce) {
    const auto reading = good(program({{call(14), call(1), call(14), call(211), call(0), call(63), call(64), call(300),
                                        call(256), call(300), call(255)}}));
    EXPECT_THAT(reading.helpers, ElementsAre(0, 1, 14, 63, 64, 211, 255, 256, 300));
    EXPECT_EQ(reading.poisoned, 0U);
    EXPECT_THAT(good(program({})).helpers, IsEmpty());
}

TEST(Reading, WhatLibbpfPoisonsIsNoHelper) {
    const auto reading =
        good(program({{call(195896080), call(2001000003), call(2002000000), call_kfunc(0), call(-1)}}));
    EXPECT_EQ(reading.poisoned, 5U);
    EXPECT_THAT(reading.helpers, IsEmpty());
    EXPECT_THAT(reading.kfuncs, IsEmpty());
    EXPECT_THAT(good(program({{call(195896079)}})).helpers, ElementsAre(195896079));
    EXPECT_THAT(good(program({{call_kfunc(0, 1)}})).kfuncs, ElementsAre(Kfunc{0, 1}));
}

TEST(Reading, KfuncsByNumberAndModule) {
    const auto reading = good(program({{call_kfunc(900), call_kfunc(900), call_kfunc(12), call_kfunc(900, 2),
                                        call_kfunc(900), call_kfunc(-1, 32767)}}));
    EXPECT_THAT(reading.kfuncs, ElementsAre(Kfunc{12, 0}, Kfunc{900, 0}, Kfunc{900, 2}, Kfunc{0xffffffff, 32767}));
    EXPECT_THAT(reading.helpers, IsEmpty());
    bad(program({{call_kfunc(900, -1)}}), 0, "negative module");
    bad(program({{insn(BPF_JMP | BPF_CALL, 0, 3, 0, 900)}}), 0, "unknown kind of call");
}

TEST(Reading, MapsInTheirFourForms) {
    const auto reading = good(program({{move(1, 1)},
                                       wide(BPF_PSEUDO_MAP_FD, 7),
                                       wide(BPF_PSEUDO_MAP_VALUE, 8, 16),
                                       wide(BPF_PSEUDO_MAP_IDX, 2),
                                       wide(BPF_PSEUDO_MAP_IDX_VALUE, 3, -1),
                                       wide(0, 7, 7)}));
    EXPECT_THAT(reading.maps,
                ElementsAre(MapReference{1, MapBy::fd, 7, 0}, MapReference{3, MapBy::fd_value, 8, 16},
                            MapReference{5, MapBy::index, 2, 0}, MapReference{7, MapBy::index_value, 3, 0xffffffff}));
    bad(program({wide(BPF_PSEUDO_MAP_FD, 7, 1)}), 0, "offset");
    bad(program({wide(BPF_PSEUDO_MAP_IDX, 7, 1)}), 0, "offset");
    bad(program({wide(7, 7)}), 0, "unknown kind");
    bad(program({wide(15, 7)}), 0, "no such register");
}

TEST(Reading, SymbolsOfTheKernel) {
    const auto reading = good(program({wide(BPF_PSEUDO_BTF_ID, 1234), wide(BPF_PSEUDO_BTF_ID, 99, 5)}));
    EXPECT_THAT(reading.symbols, ElementsAre(KernelSymbol{0, 1234, 0}, KernelSymbol{2, 99, 5}));
    EXPECT_THAT(reading.maps, IsEmpty());
}

TEST(Reading, WideNeedsItsOtherHalf) {
    bad({move(0, 0), wide(0, 1)[0]}, 1, "second half");
    for (const auto& half : {leave(), insn(0, 1, 0, 0, 0), insn(0, 0, 1, 0, 0), insn(0, 0, 0, 1, 0)})
        bad({move(0, 0), wide(BPF_PSEUDO_MAP_FD, 1)[0], half, leave()}, 1, "second half");
    bad({move(0, 0), insn(0, 0, 0, 0, 1), leave()}, 1, "unknown opcode");
    bad({insn(BPF_LD | BPF_IMM | BPF_DW, 1, 0, 1, 0), insn(0, 0, 0, 0, 0), leave()}, 0, "reserved");
    // What stands in the second half is no instruction: a call in its constant calls nothing.
    EXPECT_THAT(good(program({wide(0, call(1).code, call(1).code)})).helpers, IsEmpty());
}

TEST(Reading, FunctionsOfItsOwn) {
    // 0 call 3, 1 call 3, 2 exit, 3 call 5, 4 exit, 5 move, 6 exit
    const auto reading = good({call_own(2), call_own(1), leave(), call_own(1), leave(), move(0, 0), leave()});
    EXPECT_EQ(reading.calls, 3U);
    EXPECT_EQ(reading.callbacks, 0U);
    EXPECT_EQ(reading.subprograms, 3U);
    EXPECT_FALSE(reading.jumps_back);
    EXPECT_EQ(good({call_own(-1), leave()}).subprograms, 1U);
    // A call back is no loop: it returns.
    EXPECT_FALSE(good({call_own(2), leave(), move(0, 0), leave(), call_own(-3), leave()}).jumps_back);
    bad({call_own(1), leave()}, 0, "out of the program");
    bad({call_own(-2), leave()}, 0, "out of the program");
    bad({call_own(0x7fffffff), leave()}, 0, "out of the program");
    bad({call_own(-0x7fffffff - 1), leave()}, 0, "out of the program");
}

TEST(Reading, FunctionsHandedOver) {
    const auto reading =
        good(join({wide(BPF_PSEUDO_FUNC, 4), {call(181), move(0, 0), leave()}, {move(0, 0), leave()}}));
    EXPECT_EQ(reading.callbacks, 1U);
    EXPECT_EQ(reading.calls, 0U);
    EXPECT_EQ(reading.subprograms, 2U);
    EXPECT_THAT(reading.helpers, ElementsAre(181));
    bad(program({wide(BPF_PSEUDO_FUNC, 3)}), 0, "out of the program");
    bad(program({wide(BPF_PSEUDO_FUNC, -2)}), 0, "out of the program");
    bad(program({wide(BPF_PSEUDO_FUNC, 1, 1)}), 0, "out of the program");
}

TEST(Reading, JumpsBack) {
    const auto back = [](const bpf_insn& last) { return good({move(0, 0), last, leave()}).jumps_back; };
    EXPECT_TRUE(back(jump(-2)));
    EXPECT_TRUE(back(jump(-1)));  // to itself
    EXPECT_FALSE(back(jump(0)));
    EXPECT_TRUE(back(jump_if_zero(-2)));
    EXPECT_FALSE(back(jump_if_zero(0)));
    EXPECT_TRUE(back(insn(BPF_JMP32 | BPF_JSLE | BPF_X, 1, 2, -1, 0)));
    EXPECT_FALSE(back(insn(BPF_JMP32 | BPF_JSLE | BPF_X, 1, 2, 0, 0)));
    EXPECT_TRUE(back(insn(BPF_JMP32 | BPF_JA, 0, 0, 0, -2)));
    EXPECT_FALSE(back(insn(BPF_JMP32 | BPF_JA, 0, 0, 0, 0)));
    EXPECT_TRUE(back(insn(BPF_JMP | op_jump_condition, 0, 0, -1, 0)));
    for (const int distance : {-3, 1, 32767, -32768}) {
        bad({move(0, 0), jump(distance), leave()}, 1, "out of the program");
        bad({move(0, 0), jump_if_zero(distance), leave()}, 1, "out of the program");
        bad({move(0, 0), insn(BPF_JMP32 | BPF_JA, 0, 0, 0, distance), leave()}, 1, "out of the program");
    }
    for (const auto distance : {0x7fffffff, -0x7fffffff - 1})
        bad({insn(BPF_JMP32 | BPF_JA, 0, 0, 0, distance), leave()}, 0, "out of the program");
}

TEST(Reading, TheRest) {
    const auto with = [](const bpf_insn& one) { return good(program({{one}})); };
    EXPECT_TRUE(with(insn(BPF_JMP | op_jump_condition, 0, 0, 1, 0)).may_goto);
    EXPECT_FALSE(with(jump_if_zero(1)).may_goto);
    EXPECT_TRUE(with(insn(BPF_JMP | BPF_JA | BPF_X, 1, 0, 0, 0)).jumps_indirectly);
    EXPECT_FALSE(with(jump(0)).jumps_indirectly);
    EXPECT_TRUE(with(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 1, 1)).casts_address_space);
    EXPECT_FALSE(with(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 8, 0)).casts_address_space);
    EXPECT_TRUE(with(insn(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0)).reads_packet);
    EXPECT_TRUE(with(insn(BPF_LD | BPF_IND | BPF_B, 0, 1, 0, 0)).reads_packet);
    EXPECT_FALSE(with(insn(BPF_LDX | BPF_MEM | BPF_W, 0, 1, 0, 0)).reads_packet);
    // Atomics and load-acquire are computation.
    for (const int imm : {BPF_ADD, BPF_CMPXCHG, 0x100, 0x110})
        EXPECT_EQ(with(insn(BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, 0, imm)), (Reading{.instructions = 3}));
}

TEST(Reading, EveryUnknownOpcodeIsRefused) {
    for (unsigned code = 0; code < 256; ++code)
        if (kinds[code] == Kind::unknown) bad({move(0, 0), insn(code, 0, 0, 0, 0), leave()}, 1, "unknown opcode");
}

// Also what is never reached counts: the verifier may see further than this.
TEST(Reading, UnreachableInstructionsAreRead) {
    EXPECT_THAT(good({move(0, 0), jump(1), call(44), leave()}).helpers, ElementsAre(44));
}

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    std::uint32_t below(std::uint32_t end) { return std::uniform_int_distribution<std::uint32_t>(0, end - 1)(engine_); }
    std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }

    // A program that reads well: calls, loads of maps, jumps forward and back.
    Stream program() {
        Stream code;
        while (code.size() < 60) {
            switch (below(8)) {
                case 0:
                    code.push_back(call(below(212)));
                    break;
                case 1:
                    code.push_back(call_kfunc(1 + below(100'000), static_cast<int>(below(3))));
                    break;
                case 2:
                    append(code, wide(BPF_PSEUDO_MAP_FD, below(9)));
                    break;
                case 3:
                    append(code, wide(BPF_PSEUDO_MAP_IDX_VALUE, below(9), below(100)));
                    break;
                case 4:
                    append(code, wide(BPF_PSEUDO_BTF_ID, below(100'000), below(3)));
                    break;
                case 5:
                    code.push_back(jump_if_zero(-static_cast<int>(below(static_cast<std::uint32_t>(code.size() + 2)))));
                    break;
                case 6:
                    code.push_back(
                        insn(BPF_LDX | BPF_MEM | BPF_DW, below(11), below(11), static_cast<int>(below(64)), 0));
                    break;
                default:
                    code.push_back(move(below(11), static_cast<std::int32_t>(word())));
            }
        }
        code.push_back(leave());
        return code;
    }

  private:
    static void append(Stream& code, const Stream& more) { code.insert(code.end(), more.begin(), more.end()); }
    std::mt19937 engine_;
};

TEST(ReadingProperty, RandomBytesAreReadOrRefused) {
    Random random(1);
    int accepted = 0;
    for (int round = 0; round < 20'000; ++round) {
        Stream code(1 + random.below(24));
        for (auto& one : code) {
            const std::uint32_t words[] = {random.word(), random.word()};
            static_assert(sizeof words == sizeof one);
            __builtin_memcpy(&one, words, sizeof one);
            // As likely to be known as not, or hardly any would get past the first.
            if (random.below(4)) one = move(random.below(11), one.imm);
            if (random.below(16) == 0) one = call(random.below(300));
        }
        accepted += read(code).has_value();
    }
    EXPECT_GT(accepted, 20);
}

// Any instruction turned into a call of a helper that the program did not have: seen, or the program is refused.
TEST(ReadingProperty, AHelperThatIsAddedIsSeen) {
    Random random(2);
    int seen = 0;
    for (int round = 0; round < 2'000; ++round) {
        const Stream before = random.program();
        const auto old = read(before);
        ASSERT_TRUE(old) << old.error().text("");
        const std::uint32_t helper = 212 + random.below(1000);
        for (std::size_t at = 0; at < before.size(); ++at) {
            Stream after = before;
            after[at] = call(helper);
            const auto now = read(after);
            if (!now) continue;  // the half of a 64-bit load
            ++seen;
            ASSERT_TRUE(std::ranges::find(now->helpers, helper) != now->helpers.end()) << round << ": " << at;
        }
    }
    EXPECT_GT(seen, 50'000);
}

// The same bit by bit: one that changes what the program asks for changes its reading, or the program is refused. What
// it may change unseen is computation and the constants in it.
TEST(ReadingProperty, AChangedBitIsSeenWhereItMatters) {
    Random random(3);
    for (int round = 0; round < 100; ++round) {
        const Stream before = random.program();
        const auto old = read(before);
        ASSERT_TRUE(old);
        for (std::size_t at = 0; at < before.size(); ++at) {
            const Kind kind = kind_of(before[at]);
            for (unsigned bit = 0; bit < 64; ++bit) {
                Stream after = before;
                reinterpret_cast<unsigned char*>(&after[at])[bit / 8] ^= static_cast<unsigned char>(1U << bit % 8);
                const auto now = read(after);
                if (!now || !(*now == *old)) continue;
                // A call changed unseen is one that is there more than once; count it instead.
                const bool again = kind == Kind::call && [&] {
                    Stream without = before;
                    without[at] = move(0, 0);
                    const auto less = read(without);
                    return less && less->helpers == old->helpers && less->kfuncs == old->kfuncs;
                }();
                const bool computation =
                    kind != Kind::call && kind != Kind::wide;  // or one more call of what is called
                // The register that a wide load goes to.
                const bool destination = kind == Kind::wide && bit >= 8 && bit < 12;
                ASSERT_TRUE(again || computation || destination) << round << ": " << at << " bit " << bit;
            }
        }
    }
}

}  // namespace
}  // namespace bpfwarden::bytecode
