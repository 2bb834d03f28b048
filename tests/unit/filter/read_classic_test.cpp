// SPDX-License-Identifier: Apache-2.0
// A program that was read as a function returns what the interpreter says of the program.
#include "filter/read_classic.hpp"

#include <gtest/gtest.h>

#include <random>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"

namespace bpfwarden::filter {
namespace {

// Programs that the kernel takes, of every instruction that it takes.
class RandomProgram {
  public:
    explicit RandomProgram(unsigned seed) : random_(seed) {}

    std::vector<sock_filter> make() {
        for (;;) {
            std::vector<sock_filter> program;
            const auto length = 3 + pick(30);
            // Most programs begin with something to look at.
            program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, word()));
            while (program.size() + 1 < length) program.push_back(instruction(length - program.size() - 1));
            program.push_back(end());
            if (bytecode::check(program)) return program;
        }
    }
    Data data() {
        Data made;
        for (auto& one : made.words) one = number();
        return made;
    }

  private:
    std::size_t pick(std::size_t below) { return random_() % below; }
    std::uint32_t word() { return static_cast<std::uint32_t>(pick(word_count)) * 4; }
    std::uint32_t number() {
        static constexpr std::uint32_t interesting[] = {0, 1, 2, 3, 0xff, 0x7fffffff, 0x80000000, 0xffffffff};
        return pick(3) == 0   ? static_cast<std::uint32_t>(random_())
               : pick(2) == 0 ? interesting[pick(std::size(interesting))]
                              : static_cast<std::uint32_t>(pick(20));
    }
    static sock_filter statement(unsigned code, std::uint32_t k) { return {static_cast<std::uint16_t>(code), 0, 0, k}; }
    std::uint32_t slot() { return static_cast<std::uint32_t>(pick(3)); }
    sock_filter end() {
        return statement(BPF_RET | BPF_K, pick(2) == 0 ? allow : error_of(static_cast<unsigned>(pick(5))));
    }

    sock_filter instruction(std::size_t left) {
        const unsigned source = pick(3) == 0 ? BPF_X : BPF_K;
        switch (pick(12)) {
            case 0:
                return statement(BPF_LD | BPF_W | BPF_ABS, word());
            case 1:
                return statement(BPF_LD | BPF_IMM, number());
            case 2:
                return statement(BPF_LDX | BPF_IMM, number());
            case 3:
                return statement((pick(2) == 0 ? BPF_LD : BPF_LDX) | BPF_MEM, slot());
            case 4:
            case 5:
                return statement(pick(2) == 0 ? BPF_ST : BPF_STX, slot());
            case 6:
                return statement(BPF_MISC | (pick(2) == 0 ? BPF_TAX : BPF_TXA), 0);
            case 7:
            case 8: {
                static constexpr unsigned operations[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,
                                                          BPF_AND, BPF_LSH, BPF_RSH, BPF_XOR, BPF_NEG};
                const auto operation = operations[pick(std::size(operations))];
                const bool shifts = operation == BPF_LSH || operation == BPF_RSH;
                if (operation == BPF_NEG) return statement(BPF_ALU | BPF_NEG, 0);
                return statement(BPF_ALU | operation | source, source == BPF_X ? 0
                                                               : shifts        ? static_cast<std::uint32_t>(pick(32))
                                                               : operation == BPF_DIV ? 1 + number() / 2
                                                                                      : number());
            }
            case 9:
                return pick(4) == 0 ? end() : statement(BPF_LD | BPF_W | BPF_LEN, 0);
            default: {
                static constexpr unsigned operations[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
                sock_filter jump = statement(BPF_JMP | operations[pick(4)] | source, source == BPF_X ? 0 : number());
                jump.jt = static_cast<std::uint8_t>(pick(left));
                jump.jf = static_cast<std::uint8_t>(pick(left));
                return jump;
            }
        }
    }

    std::mt19937_64 random_;
};

TEST(ReadClassic, ReturnsWhatTheInterpreterSays) {
    unsigned understood = 0;
    constexpr unsigned programs = 3000;
    for (unsigned seed = 0; seed < programs; ++seed) {
        RandomProgram random(seed);
        const auto program = random.make();
        const auto function = read_classic(program);
        ASSERT_TRUE(function) << "seed " << seed;
        ++understood;
        for (int i = 0; i < 30; ++i) {
            const auto data = random.data();
            const auto is = normalized(bytecode::run(program, data.words).result);
            ASSERT_EQ(function->evaluate(data), is) << "seed " << seed;
        }
    }
    EXPECT_EQ(understood, programs);
}

// A value that is not one of few is not understood, and said so.
TEST(ReadClassic, RefusesAnActionThatIsComputed) {
    const std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16), BPF_STMT(BPF_RET | BPF_A, 0)};
    ASSERT_TRUE(bytecode::check(program));
    EXPECT_FALSE(read_classic(program));
}

}  // namespace
}  // namespace bpfwarden::filter
