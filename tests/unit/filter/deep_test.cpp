// SPDX-License-Identifier: Apache-2.0
// Programs that use the library build filters on threads of their own, whose stacks may be small: what is deep in a
// source must not be deep on the stack.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <pthread.h>

#include <functional>
#include <stdexcept>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"
#include "filter/build.hpp"
#include "filter/compile.hpp"
#include "filter/read_classic.hpp"
#include "filter/settle.hpp"
#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

constexpr std::size_t small = 256 << 10;

// Runs it to its end on a thread with so much stack.
void on_stack(std::size_t bytes, std::function<void()> what) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
    pthread_t thread{};
    const auto run = [](void* of) -> void* {
        (*static_cast<std::function<void()>*>(of))();
        return nullptr;
    };
    const int started = pthread_create(&thread, &attributes, run, &what);
    pthread_attr_destroy(&attributes);
    ASSERT_EQ(started, 0);
    pthread_join(thread, nullptr);
}

// The same function of everything, however it is asked.
struct Everything {
    Function function;
    Terms& terms = *function.terms;
    Decisions& decisions = *function.decisions;
    Node yes = decisions.action(allow), no = decisions.action(error_of(1));

    Term word(unsigned argument) { return terms.word(arg_low(argument)); }
    Term number(std::uint64_t value) { return terms.constant(value); }
    Condition is(Term term, std::uint64_t value) { return terms.equal(term, number(value)); }
};

// Compiles it, reads that back and compares. It may also be refused, with an error that says why.
enum class Built : std::uint8_t { proven, compiled, refused };
Built built(const Function& function, const std::function<void(const std::vector<sock_filter>&)>& look = {}) {
    const auto compiled = compile(function, {.weights = {}, .effort = Effort::quick});
    if (!compiled) {
        EXPECT_EQ(compiled.error().code(), Code::unsupported) << compiled.error().text("");
        EXPECT_FALSE(compiled.error().what().empty());
        return Built::refused;
    }
    EXPECT_TRUE(bytecode::check(compiled->program));
    if (look) look(compiled->program);
    const auto read = read_classic(compiled->program);
    if (!read) return Built::compiled;
    const auto comparison = compare(function, *read);
    EXPECT_NE(comparison.answer, Answer::different);
    return comparison.answer == Answer::same ? Built::proven : Built::compiled;
}
Data with(std::initializer_list<std::uint64_t> arguments) {
    Data data;
    unsigned at = 0;
    for (const auto argument : arguments) data.set_arg(at++, argument);
    return data;
}

// if (a == 3) …; else if (b == 6) …; else if (a == 9) …
TEST(Deep, ChainsOfTests) {
    on_stack(small, [] {
        Everything e;
        e.function.other = e.no;
        for (unsigned i = 1300; i > 0; --i)
            e.function.other = e.decisions.test(e.is(e.word(0), std::uint64_t{3} * i),
                                                i % 3 == 0 ? e.yes : e.decisions.action(error_of(2)), e.function.other);
        EXPECT_EQ(built(e.function,
                        [&](const auto& program) {
                            for (const std::uint64_t value : {3U, 9U, 18U, 3897U, 3899U, 7000U}) {
                                const auto data = with({value, value});
                                EXPECT_EQ(bytecode::run(program, data.words).result, e.function.evaluate(data));
                            }
                        }),
                  Built::proven);
    });
}

// However long the chain is, a search is made of it.
TEST(Deep, ChainsOfOneWord) {
    for (const unsigned count : {100U, 260U, 420U, 2'000U})
        on_stack(small, [count] {
            Everything e;
            e.function.other = e.no;
            for (unsigned i = count; i > 0; --i) {
                const auto action = e.decisions.action(error_of(i % 2 + 2));
                const auto condition =
                    i % 4 == 0
                        ? e.terms.opposite(e.terms.below(e.word(0), e.number(std::uint64_t{7} * (2 * count - i))))
                        : e.is(e.word(0), std::uint64_t{7} * i);
                e.function.other = e.decisions.test(condition, action, e.function.other);
            }
            const auto look = [&](const auto& program) {
                for (std::uint64_t value = 0; value < std::uint64_t{14} * count; value += 1 + count / 100) {
                    const auto data = with({value});
                    const auto run = bytecode::run(program, data.words);
                    ASSERT_EQ(run.result, e.function.evaluate(data)) << value;
                    ASSERT_LT(run.executed, 24) << value << " of " << count;
                }
            };
            EXPECT_EQ(built(e.function, look), Built::proven);
        });
}

// Words after each other, and computed values in between.
TEST(Deep, ChainsOfWordsAfterEachOther) {
    for (const bool computes : {false, true})
        on_stack(small, [computes] {
            Everything e;
            e.function.other = e.no;
            for (unsigned argument = 4; argument-- > 0;) {
                for (unsigned i = 300; i > 0; --i)
                    e.function.other = e.decisions.test(e.is(e.word(argument), std::uint64_t{5} * i),
                                                        e.decisions.action(error_of(argument + 2)), e.function.other);
                if (computes)
                    e.function.other = e.decisions.test(
                        e.terms.below(e.terms.binary(TermKind::add, e.word(4), e.word(argument)), e.number(1000)),
                        e.yes, e.function.other);
            }
            const auto look = [&](const auto& program) {
                for (const std::uint64_t a : {1U, 5U, 750U, 1500U, 2000U})
                    for (const std::uint64_t d : {2U, 1500U})
                        for (const std::uint64_t e4 : {0U, 4'000'000'000U}) {
                            const auto data = with({a, 1, 3, d, e4});
                            const auto run = bytecode::run(program, data.words);
                            ASSERT_EQ(run.result, e.function.evaluate(data));
                            ASSERT_LT(run.executed, 150);
                        }
            };
            EXPECT_NE(built(e.function, look), Built::refused);
        });
}

// A search has more tests than the list that it is made of: a list that just fits stays one.
TEST(Deep, ChainsThatJustFit) {
    on_stack(small, [] {
        Everything e;
        e.function.other = e.no;
        for (unsigned i = 4'000; i > 0; --i)
            e.function.other = e.decisions.test(e.is(e.word(0), std::uint64_t{3} * i), e.yes, e.function.other);
        EXPECT_EQ(built(e.function, [](const auto& program) { EXPECT_LE(program.size(), 4096U); }), Built::proven);
    });
}

// The longest way through a search of ranges, of which no two are alike.
TEST(Deep, SearchesOfRanges) {
    for (const auto effort : {Effort::quick, Effort::normal, Effort::high})
        on_stack(small, [effort] {
            Everything e;
            e.function.other = e.decisions.action(error_of(0));
            for (unsigned i = 1; i < 96; ++i)
                e.function.other = e.decisions.test(e.terms.below(e.word(0), e.number(std::uint64_t{64} * (96 - i))),
                                                    e.decisions.action(error_of(i)), e.function.other);
            Weights weights;
            std::vector<filter::Run> runs;
            for (std::uint32_t nr = 0; nr < 95; ++nr) {
                runs.push_back({64 * nr, 64 * nr + 63, e.decisions.action(error_of(nr + 1))});
                weights.push_back({AUDIT_ARCH_X86_64, 64 * nr, std::uint64_t{1} << std::min(nr / 2, 40U)});
            }
            runs.push_back({64 * 95, 0xffffffff, e.function.other});
            e.function.parts.push_back({AUDIT_ARCH_X86_64, runs});
            const auto compiled = compile(e.function, {.weights = weights, .effort = effort});
            ASSERT_TRUE(compiled) << compiled.error().text("");
            for (std::uint32_t nr = 0; nr < 96; ++nr) {
                Data data;
                data[Word::arch] = AUDIT_ARCH_X86_64;
                data[Word::nr] = 64 * nr + 5;
                EXPECT_EQ(bytecode::run(compiled->program, data.words).result, e.function.evaluate(data));
            }
        });
}

// More than fit: refused, and not by a crash.
TEST(Deep, ChainsOfTooManyTests) {
    for (const unsigned count : {5'000U, 200'000U})
        on_stack(small, [count] {
            Everything e;
            e.function.other = e.no;
            for (unsigned i = count; i > 0; --i)
                e.function.other = e.decisions.test(e.is(e.word(i % 5), std::uint64_t{3} * i), e.yes, e.function.other);
            EXPECT_EQ(built(e.function), Built::refused);
        });
}

// A bit of each of many masks: no order of words, and no ranges.
TEST(Deep, ChainsOfMasks) {
    on_stack(small, [] {
        Everything e;
        e.function.other = e.no;
        for (unsigned i = 1200; i > 0; --i) {
            const Term masked = e.terms.binary(TermKind::bit_and, e.word(i % 3), e.number(0x10001 + i * 16));
            e.function.other = e.decisions.test(e.is(masked, 0x10001 + i * 16), e.yes, e.function.other);
        }
        EXPECT_NE(built(e.function), Built::refused);
    });
}

// x ^= a; x += b; …
TEST(Deep, ChainsOfArithmetic) {
    for (const unsigned count : {100U, 700U})
        on_stack(small, [count] {
            Everything e;
            Term value = e.word(0);
            for (unsigned i = 1; i < count; ++i) {
                value = e.terms.binary(i % 2 == 0 ? TermKind::bit_xor : TermKind::add, value, e.word(i % 6));
                value = e.terms.binary(TermKind::bit_and, value, e.number(0xffffffff));
            }
            e.function.other = e.decisions.computed(SECCOMP_RET_TRACE, value);
            EXPECT_EQ(built(e.function,
                            [&](const auto& program) {
                                for (const std::uint64_t one : {0ULL, 5ULL, 0xffffffffULL, 0x12345678ULL}) {
                                    const auto data = with({one, one * 3, one + 7, 9, ~one, 77});
                                    EXPECT_EQ(bytecode::run(program, data.words).result, e.function.evaluate(data));
                                }
                            }),
                      Built::compiled);
        });
}

TEST(Deep, ChainsOfArithmeticThatIsTooMuch) {
    for (const unsigned count : {4'000U, 100'000U})
        on_stack(small, [count] {
            Everything e;
            Term value = e.terms.pair(arg_low(0), arg_high(0));
            for (unsigned i = 1; i < count; ++i)
                value = e.terms.binary(i % 2 == 0 ? TermKind::bit_xor : TermKind::add, value,
                                       e.terms.pair(arg_low(i % 6), arg_high(i % 6)));
            e.function.other = e.decisions.computed(SECCOMP_RET_TRACE, value);
            EXPECT_EQ(built(e.function), Built::refused);
        });
}

// One choice in the condition of the next: nothing computes it from below.
TEST(Deep, ChoicesInConditions) {
    for (const unsigned count : {5U, 3'000U})
        on_stack(small, [count] {
            Everything e;
            Term value = e.word(0);
            for (unsigned i = 1; i < count; ++i)
                value = e.terms.select(e.terms.below(value, e.word(i % 6)), e.word((i + 1) % 6), value);
            e.function.other = e.decisions.computed(SECCOMP_RET_TRACE, value);
            EXPECT_EQ(built(e.function) == Built::refused, count > 100);
        });
}

// a && b && c …, from both ends.
TEST(Deep, ConditionsOfConditions) {
    for (const bool left : {true, false})
        on_stack(small, [left] {
            Everything e;
            Condition all = e.terms.always(), none = e.terms.always();
            for (unsigned i = 1; i < 50'000; ++i) {
                const auto one = e.terms.opposite(e.is(e.word(0), 3 * i));
                all = left ? e.terms.both(all, one) : e.terms.both(one, all);
                none = left ? e.terms.opposite(e.terms.both(none, one)) : e.terms.opposite(e.terms.both(one, none));
            }
            e.function.other = e.decisions.test(all, e.yes, e.no);
            EXPECT_EQ(e.function.evaluate(with({2})), allow);
            EXPECT_EQ(e.function.evaluate(with({3000})), error_of(1));
            const auto other = e.decisions.test(none, e.yes, e.no);
            EXPECT_EQ(e.decisions.evaluate(other, with({2})), e.terms.holds(none, with({2})) ? allow : error_of(1));
            EXPECT_EQ(built(e.function), Built::refused);
        });
}

// What depends on the number is made for each of them.
TEST(Deep, ChainsOfTheNumber) {
    on_stack(small, [] {
        Everything e;
        Node rest = e.no;
        Term sum = e.terms.word(Word::nr);
        for (unsigned i = 1; i < 400; ++i) {
            sum = e.terms.binary(TermKind::bit_xor, sum, e.terms.binary(TermKind::add, sum, e.number(i)));
            rest = e.decisions.test(e.is(sum, i), e.yes, rest);
        }
        e.function.other = rest;
        Runs runs(rest);
        e.function.parts.push_back({AUDIT_ARCH_X86_64, std::move(runs).done()});
        (void)built(e.function);
    });
}

TEST(Deep, ChainsThatTheNumberSettles) {
    on_stack(small, [] {
        Everything e;
        Node rest = e.no;
        for (unsigned i = 1; i < 900; ++i)
            rest = e.decisions.test(e.is(i % 2 == 0 ? e.terms.word(Word::nr) : e.word(0), i), i % 3 == 0 ? e.yes : e.no,
                                    rest);
        Part part{AUDIT_ARCH_X86_64, Runs(rest).done()};
        settle_numbers(e.decisions, part);
        EXPECT_GT(part.runs.size(), 100U);
        e.function.other = e.no;
        e.function.parts.push_back(part);
        for (const std::uint32_t nr : {2U, 6U, 600U}) {
            Data data = with({999});
            data[Word::nr] = nr;
            data[Word::arch] = AUDIT_ARCH_X86_64;
            EXPECT_EQ(e.function.evaluate(data), e.decisions.evaluate(rest, data));
        }
        (void)built(e.function);
    });
}

// A program that returns what it has chosen over and over.
TEST(Deep, ReturnedChoices) {
    using bytecode::insn;
    for (const int count : {200, 3'000})
        on_stack(small, [count] {
            bytecode::Program program;
            auto& code = program.code;
            code.push_back(insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0));
            code.push_back(insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, SECCOMP_RET_ALLOW));
            for (int i = 0; i < count; ++i) {
                code.push_back(insn(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 1, 7 * i));
                code.push_back(
                    insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, static_cast<int>(SECCOMP_RET_ERRNO) | (1 + i % 30)));
            }
            code.push_back(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
            const auto evaluated = evaluate(program, small_tables(2));
            ASSERT_EQ(evaluated.has_value(), count == 200) << (evaluated ? "" : evaluated.error().text(""));
            if (evaluated) {
                EXPECT_EQ(built(evaluated->function), Built::proven);
            }
        });
}

// As much as a program of one's own has: a loop of 4000 rounds, unrolled.
TEST(Deep, UnrolledLoops) {
    using bytecode::insn;
    on_stack(small, [] {
        bytecode::Program program;
        auto& code = program.code;
        code.push_back(insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0));
        code.push_back(insn(BPF_LDX | BPF_MEM | BPF_W, 3, 1, 24, 0));
        for (int i = 0; i < 4'000; ++i)
            code.push_back(insn(i % 2 == 0 ? BPF_ALU | BPF_XOR | BPF_X : BPF_ALU | BPF_ADD | BPF_X, 2, 3, 0, 0));
        code.push_back(insn(BPF_ALU | BPF_MOV | BPF_X, 0, 2, 0, 0));
        code.push_back(insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, 0xfff));
        code.push_back(insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO));
        code.push_back(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
        const auto evaluated = evaluate(program, small_tables(2));
        ASSERT_TRUE(evaluated) << evaluated.error().text("");
        EXPECT_EQ(built(evaluated->function), Built::refused);
    });
}

// A program of 4096 instructions, as others make them.
TEST(Deep, ClassicPrograms) {
    on_stack(small, [] {
        std::vector<sock_filter> tests{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16)};
        for (unsigned i = 0; i < 2'000; ++i) {
            tests.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 5 * i, 0, 1));
            tests.push_back(BPF_STMT(BPF_RET | BPF_K, i % 2 == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | 1U));
        }
        tests.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
        const auto one = read_classic(tests), other = read_classic(tests);
        ASSERT_TRUE(one && other);
        EXPECT_EQ(compare(*one, *other).answer, Answer::same);

        std::vector<sock_filter> arithmetic{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                                            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 24)};
        for (unsigned i = 0; i < 4'000; ++i)
            arithmetic.push_back(i % 2 == 0 ? sock_filter BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0)
                                            : sock_filter BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, i));
        arithmetic.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1));
        arithmetic.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        arithmetic.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
        const auto computed = read_classic(arithmetic), again = read_classic(arithmetic);
        ASSERT_TRUE(computed && again);
        EXPECT_NE(compare(*computed, *again, 50'000).answer, Answer::different);
    });
}

// The examples, whole: read, evaluated, compiled and proven.
TEST(Deep, Examples) {
    for (const char* name :
         {"allow_list", "argument_masks", "curl", "errno_table", "ioctl_requests", "networks", "number_bitmap"}) {
        const auto bytes = bytes_of_file(std::string(BPFWARDEN_EXAMPLES) + "/" + name + ".v4.bpf.o");
        SetContents sets;
        if (std::string(name) == "allow_list") sets["extra"] = {21, 1000};
        on_stack(small, [&] {
            const auto source = read_source({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                            {.abis = {Abi::x86_64}, .sets = sets});
            ASSERT_TRUE(source) << name << source.error().text("");
            const auto made = build(*source, newest_kernel, {.effort = Effort::high});
            ASSERT_TRUE(made) << name << made.error().text("");
            EXPECT_EQ(made->proof, Answer::same) << name;
        });
    }
}

}  // namespace
}  // namespace bpfwarden::filter
