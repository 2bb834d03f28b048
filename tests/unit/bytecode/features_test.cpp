// SPDX-License-Identifier: Apache-2.0
#include "bytecode/features.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytecode/instruction.hpp"
#include "grant/facts.hpp"
#include "unit/bytecode/code.hpp"

namespace bpfwarden::bytecode {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Asked {
    Stream code = program({});
    std::vector<std::string_view> kfuncs;
    std::vector<std::uint32_t> map_types;
    std::uint32_t prog_flags = 0, prog_ifindex = 0;
};

Features of(const Asked& asked) {
    const auto reading = read(asked.code);
    EXPECT_TRUE(reading) << reading.error().text("");
    const auto found = features({.reading = *reading,
                                 .kfuncs = asked.kfuncs,
                                 .map_types = asked.map_types,
                                 .prog_flags = asked.prog_flags,
                                 .prog_ifindex = asked.prog_ifindex});
    EXPECT_TRUE(found) << found.error().text("");
    return *found;
}

Asked kfunc(std::string_view name) { return {.code = program({{call_kfunc(5)}}), .kfuncs = {name}}; }
Asked with(const bpf_insn& one) { return {.code = program({{one}})}; }
Asked flag(std::uint32_t bits) { return {.prog_flags = bits}; }

// Each way to a feature, and what is next to it and does not lead there.
struct Case {
    std::string_view name;
    std::vector<Asked> has, lacks;
};

std::vector<Case> cases() {
    const Stream callback = join({wide(BPF_PSEUDO_FUNC, 3), {move(0, 0), leave()}, {move(0, 0), leave()}});
    const Stream own_call = {call_own(1), leave(), move(0, 0), leave()};
    return {
        {"bpf2bpf_calls", {{.code = own_call}}, {with(call(5)), kfunc("bpf_x"), {.code = callback}}},
        {"bounded_loops",
         {with(jump_if_zero(-1)), with(insn(BPF_JMP32 | BPF_JA, 0, 0, 0, -1)),
          with(insn(BPF_JMP | op_jump_condition, 0, 0, 0, 0)), kfunc("bpf_iter_num_new"), kfunc("bpf_iter_num_next"),
          kfunc("bpf_iter_task_destroy")},
         {with(jump_if_zero(1)), kfunc("bpf_iter_num"), kfunc("my_bpf_iter_num_new"), {.code = own_call}}},
        {"callbacks",
         {{.code = callback},
          kfunc("bpf_wq_set_callback_impl"),
          kfunc("bpf_wq_set_callback"),
          kfunc("bpf_task_work_schedule_signal"),
          kfunc("bpf_rbtree_add_impl")},
         {{.code = own_call}, kfunc("bpf_wq_start"), kfunc("bpf_rbtree_first")}},
        {"arena",
         {with(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 1, 1)),
          kfunc("bpf_arena_alloc_pages"),
          {.map_types = {1, map_type_arena}}},
         {with(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 0, 0)), {.map_types = {1, map_type_arena - 1}}}},
        {"indirect_jumps",
         {with(insn(BPF_JMP | BPF_JA | BPF_X, 1, 0, 0, 0)), {.map_types = {map_type_insn_array}}},
         {with(jump(0)), {.map_types = {map_type_insn_array + 1}}}},
        {"exceptions", {kfunc("bpf_throw")}, {kfunc("bpf_throws")}},
        {"sleepable", {flag(BPF_F_SLEEPABLE)}, {flag(BPF_F_STRICT_ALIGNMENT)}},
        {"xdp_frags", {flag(BPF_F_XDP_HAS_FRAGS)}, {flag(BPF_F_XDP_DEV_BOUND_ONLY)}},
        {"device_bound", {flag(BPF_F_XDP_DEV_BOUND_ONLY), {.prog_ifindex = 1}}, {flag(BPF_F_XDP_HAS_FRAGS)}},
        {"any_alignment", {flag(BPF_F_ANY_ALIGNMENT)}, {flag(BPF_F_STRICT_ALIGNMENT)}},
        {"test_flags",
         {flag(BPF_F_TEST_RND_HI32), flag(BPF_F_TEST_STATE_FREQ), flag(BPF_F_TEST_REG_INVARIANTS)},
         {flag(BPF_F_ANY_ALIGNMENT), flag(BPF_F_SLEEPABLE)}},
    };
}

TEST(Features, EachByEachWay) {
    for (const auto& one : cases()) {
        for (std::size_t i = 0; i < one.has.size(); ++i)
            EXPECT_THAT(of(one.has[i]).names, ElementsAre(one.name)) << one.name << " " << i;
        for (std::size_t i = 0; i < one.lacks.size(); ++i)
            EXPECT_THAT(of(one.lacks[i]).names, testing::Not(testing::Contains(one.name))) << one.name << " " << i;
    }
    EXPECT_THAT(of({}).names, IsEmpty());
}

// What is returned is what a grant can allow, and all of it that can be told from the program.
TEST(Features, AreThoseOfTheGrantLanguage) {
    std::set<std::string_view> returned;
    for (const auto& one : cases())
        for (const auto& asked : one.has)
            for (const auto name : of(asked).names) {
                EXPECT_NE(grant::verifier_feature(name), nullptr) << name;
                returned.insert(name);
            }
    for (const auto& feature : grant::all_verifier_features())
        EXPECT_EQ(returned.contains(feature.name), !feature.comes_with_capability && feature.name != "large_programs")
            << feature.name;
}

TEST(Features, SeveralAtOnceEachOnce) {
    Asked all{.code = program({{jump_if_zero(-1), jump_if_zero(-1), call_kfunc(5), call_kfunc(6)}}),
              .kfuncs = {"bpf_throw", "bpf_iter_num_new"},
              .prog_flags = BPF_F_SLEEPABLE | BPF_F_TEST_RND_HI32 | BPF_F_TEST_STATE_FREQ};
    EXPECT_THAT(of(all).names, ElementsAre("bounded_loops", "exceptions", "sleepable", "test_flags"));
}

TEST(Features, UnknownFlagsAreReported) {
    EXPECT_EQ(of(flag(0xff)).unknown_flags, 0U);
    for (unsigned bit = 8; bit < 32; ++bit) EXPECT_EQ(of(flag(1U << bit | 1U)).unknown_flags, 1U << bit) << bit;
    EXPECT_EQ(of(flag(BPF_F_TOKEN_FD)).unknown_flags, std::uint32_t{BPF_F_TOKEN_FD});
}

TEST(Features, KfuncsNeedTheirNames) {
    const auto reading = read(program({{call_kfunc(5)}}));
    ASSERT_TRUE(reading);
    EXPECT_FALSE(features({.reading = *reading}));
}

}  // namespace
}  // namespace bpfwarden::bytecode
