// SPDX-License-Identifier: Apache-2.0
#include "bytecode/relocate.hpp"

#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytecode/instruction.hpp"
#include "unit/bytecode/code.hpp"

namespace bpfwarden::bytecode {
namespace {

bool same(const Stream& one, const Stream& other) {
    return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size() * sizeof(bpf_insn)) == 0;
}

Result<> rewrite_with(Stream& code, const NewMapFd& map, const NewBtfFd& btf = {}) {
    const auto reading = read(code);
    EXPECT_TRUE(reading) << reading.error().text("");
    return rewrite(code, *reading, map, btf);
}
Result<int> plus_100(const MapReference& map) { return static_cast<int>(map.number) + 100; }

TEST(Rewrite, PutsFdsInAndNamesByFd) {
    Stream code = program({wide(BPF_PSEUDO_MAP_FD, 7), wide(BPF_PSEUDO_MAP_VALUE, 8, 16), wide(BPF_PSEUDO_MAP_IDX, 2),
                           wide(BPF_PSEUDO_MAP_IDX_VALUE, 3, 24), wide(0, 7, 7)});
    const auto done = rewrite_with(code, plus_100);
    ASSERT_TRUE(done) << done.error().text("");
    EXPECT_TRUE(
        same(code, program({wide(BPF_PSEUDO_MAP_FD, 107), wide(BPF_PSEUDO_MAP_VALUE, 108, 16),
                            wide(BPF_PSEUDO_MAP_FD, 102), wide(BPF_PSEUDO_MAP_VALUE, 103, 24), wide(0, 7, 7)})));
}

TEST(Rewrite, ModulesBtf) {
    const Stream before = program({wide(BPF_PSEUDO_BTF_ID, 50), wide(BPF_PSEUDO_BTF_ID, 60, 9)});
    Stream code = before;
    EXPECT_FALSE(rewrite_with(code, plus_100));
    code = before;
    ASSERT_TRUE(rewrite_with(code, plus_100, [](const KernelSymbol& symbol) -> Result<int> {
        EXPECT_EQ(symbol.id, 60U);  // never asked about vmlinux
        return 33;
    }));
    EXPECT_TRUE(same(code, program({wide(BPF_PSEUDO_BTF_ID, 50), wide(BPF_PSEUDO_BTF_ID, 60, 33)})));
    for (const int wrong : {-1, 0}) {
        code = before;
        EXPECT_FALSE(rewrite_with(code, plus_100, [&](const KernelSymbol&) -> Result<int> { return wrong; })) << wrong;
    }
}

TEST(Rewrite, StopsWhereThereIsNoFd) {
    Stream code = program({wide(BPF_PSEUDO_MAP_FD, 7)});
    EXPECT_FALSE(rewrite_with(code, [](const MapReference&) -> Result<int> { return -1; }));
    const auto refused =
        rewrite_with(code, [](const MapReference&) -> Result<int> { return fail(Code::denied, "no"); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().what(), "instruction 0: no");
}

// A reading of another stream is noticed, not believed.
TEST(Rewrite, RefusesAnotherStream) {
    const auto reading = read(program({wide(BPF_PSEUDO_MAP_FD, 7), wide(BPF_PSEUDO_BTF_ID, 7, 3)}));
    ASSERT_TRUE(reading);
    const NewBtfFd btf = [](const KernelSymbol&) -> Result<int> { return 5; };
    for (Stream other : {program({wide(BPF_PSEUDO_MAP_FD, 8), wide(BPF_PSEUDO_BTF_ID, 7, 3)}),
                         program({wide(BPF_PSEUDO_MAP_IDX, 7), wide(BPF_PSEUDO_BTF_ID, 7, 3)}),
                         program({wide(BPF_PSEUDO_MAP_FD, 7), wide(BPF_PSEUDO_BTF_ID, 7, 4)}),
                         program({wide(BPF_PSEUDO_MAP_FD, 7), wide(0, 7, 3)}), program({wide(BPF_PSEUDO_MAP_FD, 7)}),
                         program({{move(0, 0), move(0, 0), move(0, 0), move(0, 0)}})})
        EXPECT_FALSE(rewrite(other, *reading, plus_100, btf));
    Stream own = program({wide(BPF_PSEUDO_MAP_FD, 7), wide(BPF_PSEUDO_BTF_ID, 7, 3)});
    EXPECT_TRUE(rewrite(own, *reading, plus_100, btf));
}

class Random {
  public:
    std::uint32_t below(std::uint32_t end) { return std::uniform_int_distribution<std::uint32_t>(0, end - 1)(engine_); }
    Stream program() {
        Stream code;
        while (code.size() < 40) {
            const std::uint32_t choice = below(8);
            const Stream next = choice == 0   ? Stream{call(below(212))}
                                : choice == 1 ? Stream{call_kfunc(1 + below(9), static_cast<int>(below(4)))}
                                : choice == 2 ? wide(BPF_PSEUDO_BTF_ID, 1 + below(9), below(4))
                                : choice == 3 ? wide(0, below(9), below(9))
                                : choice == 4 ? wide(BPF_PSEUDO_MAP_FD, below(6))
                                : choice == 5 ? wide(BPF_PSEUDO_MAP_VALUE, below(6), below(64))
                                              : Stream{move(below(11), static_cast<std::int32_t>(below(1000)))};
            code.insert(code.end(), next.begin(), next.end());
        }
        code.push_back(leave());
        return code;
    }

  private:
    std::mt19937 engine_{4};  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same programs each time
};

// All that rewriting may change is the fds, and canonical() does not see that it did.
TEST(RewriteProperty, KeepsEverythingElse) {
    Random random;
    for (int round = 0; round < 2'000; ++round) {
        const Stream before = random.program();
        Stream after = before;
        const auto done = rewrite_with(after, plus_100, [](const KernelSymbol& symbol) -> Result<int> {
            return static_cast<int>(symbol.btf_fd) + 7;
        });
        ASSERT_TRUE(done) << done.error().text("");
        ASSERT_EQ(before.size(), after.size());
        Stream back = after;
        for (std::size_t at = 0; at < before.size(); ++at) {
            if (kind_of(before[at]) != Kind::wide) continue;
            if (before[at].src_reg == BPF_PSEUDO_MAP_FD || before[at].src_reg == BPF_PSEUDO_MAP_VALUE) {
                EXPECT_EQ(after[at].imm, before[at].imm + 100);
                back[at].imm = before[at].imm;
            } else if (before[at].src_reg == BPF_PSEUDO_BTF_ID && before[at + 1].imm != 0) {
                EXPECT_EQ(after[at + 1].imm, before[at + 1].imm + 7);
                back[at + 1].imm = before[at + 1].imm;
            }
            ++at;
        }
        ASSERT_TRUE(same(back, before));
        ASSERT_TRUE(same(canonical(before), canonical(after)));
        ASSERT_TRUE(same(canonical(canonical(before)), canonical(before)));
    }
}

TEST(Canonical, IsTheSameForAnyFds) {
    const auto with = [](int a, int b, int module) {
        return program({wide(BPF_PSEUDO_MAP_FD, a),
                        wide(BPF_PSEUDO_MAP_VALUE, b, 16),
                        wide(BPF_PSEUDO_MAP_FD, a),
                        wide(BPF_PSEUDO_BTF_ID, 60, module),
                        {call_kfunc(77, module)}});
    };
    EXPECT_TRUE(same(canonical(with(3, 4, 5)), canonical(with(9, 8, 2))));
    EXPECT_TRUE(same(canonical(with(3, 4, 5)), with(0, 1, 1)));
    const Stream by_index = program({wide(BPF_PSEUDO_MAP_IDX, 1),
                                     wide(BPF_PSEUDO_MAP_IDX_VALUE, 0, 16),
                                     wide(BPF_PSEUDO_MAP_IDX, 1),
                                     wide(BPF_PSEUDO_BTF_ID, 60, 4),
                                     {call_kfunc(77, 4)}});
    EXPECT_TRUE(same(canonical(by_index), canonical(with(3, 4, 5))));
    // Which maps are the same, and what is of vmlinux, are part of the program.
    EXPECT_FALSE(same(canonical(with(3, 4, 5)), canonical(with(3, 3, 5))));
    EXPECT_FALSE(same(canonical(with(3, 4, 5)), canonical(with(3, 4, 0))));
}

TEST(Canonical, KeepsWhatTheProgramDoes) {
    const Stream base =
        program({wide(BPF_PSEUDO_MAP_VALUE, 4, 16), wide(BPF_PSEUDO_BTF_ID, 60), {call(1), call_kfunc(7)}});
    for (const Stream& other :
         {program({wide(BPF_PSEUDO_MAP_VALUE, 4, 24), wide(BPF_PSEUDO_BTF_ID, 60), {call(1), call_kfunc(7)}}),
          program({wide(BPF_PSEUDO_MAP_FD, 4), wide(BPF_PSEUDO_BTF_ID, 60), {call(1), call_kfunc(7)}}),
          program({wide(BPF_PSEUDO_MAP_VALUE, 4, 16), wide(BPF_PSEUDO_BTF_ID, 61), {call(1), call_kfunc(7)}}),
          program({wide(BPF_PSEUDO_MAP_VALUE, 4, 16), wide(BPF_PSEUDO_BTF_ID, 60), {call(2), call_kfunc(7)}}),
          program({wide(BPF_PSEUDO_MAP_VALUE, 4, 16), wide(BPF_PSEUDO_BTF_ID, 60), {call(1), call_kfunc(8)}}),
          program({wide(0, 4, 16), wide(BPF_PSEUDO_BTF_ID, 60), {call(1), call_kfunc(7)}})})
        EXPECT_FALSE(same(canonical(other), canonical(base)));
    // Two maps exchanged.
    EXPECT_FALSE(same(canonical(program({wide(1, 4), wide(1, 5), wide(1, 4), wide(1, 5)})),
                      canonical(program({wide(1, 4), wide(1, 5), wide(1, 5), wide(1, 4)}))));
}

TEST(Canonical, BrokenStreamsAreSafe) {
    EXPECT_TRUE(canonical({}).empty());
    EXPECT_EQ(canonical(Stream{wide(BPF_PSEUDO_MAP_FD, 4)[0]}).size(), 1U);
    Stream modules;
    for (int round = 0; round < 3; ++round)
        for (int module = -32768; module < 32768; ++module) modules.push_back(call_kfunc(1, module));
    EXPECT_EQ(canonical(modules).size(), modules.size());
}

}  // namespace
}  // namespace bpfwarden::bytecode
