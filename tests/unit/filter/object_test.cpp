// SPDX-License-Identifier: Apache-2.0
// Filters from C, as clang compiles them for every instruction set, against the interpreter.
#include "filter/object.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <string_view>

#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

using testing::HasSubstr;

class EveryCpu : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Cpu, EveryCpu, testing::Values("v1", "v2", "v3", "v4"),
                         [](const auto& instance) { return std::string(instance.param); });

void compare(const std::string& path, const SetContents& sets, std::size_t count) {
    const auto object = read_object(bytes_of_file(path), sets);
    ASSERT_TRUE(object) << object.error().text(path);
    const auto evaluated = evaluate(object->program, small_tables());
    ASSERT_TRUE(evaluated) << evaluated.error().text(path);
    EXPECT_TRUE(evaluated->warnings.empty()) << evaluated->warnings.front().text;
    Random random(1);
    EXPECT_EQ(agreements(object->program, evaluated->function, random, count, 30), count) << path;
}

TEST_P(EveryCpu, TheExamplesAreWhatTheInterpreterSays) {
    for (const std::string name :
         {"allow_list", "argument_masks", "curl", "errno_table", "ioctl_requests", "networks", "number_bitmap"}) {
        SetContents sets;
        if (name == "allow_list") sets["extra"] = {21, 1000, 0x40000201};
        compare(std::string(BPFWARDEN_EXAMPLES) + "/" + name + "." + GetParam() + ".bpf.o", sets, 4000);
    }
}

TEST_P(EveryCpu, SoIsEveryShape) {
    compare(std::string(BPFWARDEN_OBJECTS) + "/shapes." + GetParam() + ".bpf.o", {}, 20'000);
}

Result<Object> example(const std::string& name, const SetContents& sets = {}) {
    return read_object(bytes_of_file(std::string(BPFWARDEN_EXAMPLES) + "/" + name + ".v4.bpf.o"), sets);
}

TEST(Object, EqualSystemCallsShareOneResidual) {
    const auto object = example("allow_list", {{"extra", {}}});
    ASSERT_TRUE(object);
    const auto evaluated = evaluate(object->program, small_tables(460));
    ASSERT_TRUE(evaluated);
    // ALLOW, ERRNO(ENOSYS), KILL_PROCESS: and nothing else.
    EXPECT_EQ(evaluated->function.decisions->size(), 3U);
    EXPECT_EQ(evaluated->function.parts.front().runs.back().last, 0xffffffffU);
    EXPECT_EQ(evaluated->function.parts.back().runs.size(), 1U) << "i386 is killed, whatever the number";
}

TEST(Object, ASetFromAFileNeedsOneThatFits) {
    const auto none = example("allow_list");
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().text(""), HasSubstr("--map extra=FILE"));
    const auto wide = example("allow_list", {{"extra", {1ULL << 32}}});
    ASSERT_FALSE(wide);
    EXPECT_THAT(wide.error().why(), HasSubstr("0x100000000 does not fit into its keys of 32 bits"));
    const auto many = example("allow_list", {{"extra", [] {
                                                  std::vector<std::uint64_t> numbers(513);
                                                  for (std::size_t at = 0; at < numbers.size(); ++at) numbers[at] = at;
                                                  return numbers;
                                              }()}});
    ASSERT_FALSE(many);
    EXPECT_THAT(many.error().why(), HasSubstr("declared with 512 entries and gets 513"));
    const auto unknown = example("networks", {{"extra", {1}}});
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().text(""), HasSubstr("no set \"extra\""));
    EXPECT_THAT(unknown.error().hint(), HasSubstr("private_networks"));
    const auto empty = example("allow_list", {{"extra", {}}});
    ASSERT_TRUE(empty);
    ASSERT_EQ(empty->warnings.size(), 1U);
    EXPECT_THAT(empty->warnings.front().text, HasSubstr("nothing is in `extra`"));
}

TEST(Object, ALookupThatCutsAnArgumentIsWarnedOf) {
    // The header by itself, and with others before and after it.
    for (const std::string variant : {"", ".alone", ".before", ".after"}) {
        const auto object =
            read_object(bytes_of_file(std::string(BPFWARDEN_OBJECTS) + "/cuts" + variant + ".bpf.o"), {});
        ASSERT_TRUE(object) << object.error().text(variant);
        const auto evaluated = evaluate(object->program, small_tables());
        ASSERT_TRUE(evaluated) << evaluated.error().text(variant);
        // Not where it is cast, nor where the rest was looked at, nor where nothing can be lost.
        ASSERT_EQ(evaluated->warnings.size(), 1U) << variant;
        EXPECT_EQ(evaluated->warnings.front().where, "cuts.bpf.c:21");
        EXPECT_EQ(evaluated->warnings.front().text, "the lookup in `requests` cuts args[1] to 32 bits");
    }
}

TEST(Object, WhatIsNoObjectIsRefused) {
    const auto whole = bytes_of_file(std::string(BPFWARDEN_EXAMPLES) + "/networks.v4.bpf.o");
    for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{64}, whole.size() / 2}) {
        const auto object = read_object(Blob(whole).first(size), {});
        ASSERT_FALSE(object) << size;
        EXPECT_EQ(object.error().code(), Code::bad_input);
        EXPECT_FALSE(object.error().hint().empty());
    }
    auto other = whole;
    other[18] = 62;  // e_machine: x86-64
    const auto object = read_object(other, {});
    ASSERT_FALSE(object);
    EXPECT_THAT(object.error().why(), HasSubstr("another machine"));
}

// Any byte of it may be another: it is read or refused, and what is accepted is safe.
TEST(Object, DamageIsNeverMoreThanARefusal) {
    auto limited = small_tables(4);
    limited.limits.work = 100'000;
    Random random(3);
    std::size_t accepted = 0, refused = 0;
    for (const std::string name : {"networks", "errno_table"}) {
        const auto whole = bytes_of_file(std::string(BPFWARDEN_EXAMPLES) + "/" + name + ".v4.bpf.o");
        for (int round = 0; round < 1500; ++round) {
            auto damaged = whole;
            for (std::uint64_t one = 0; one <= random.below(4); ++one)
                damaged[random.below(damaged.size())] = static_cast<std::uint8_t>(random.number());
            const auto object = read_object(damaged, {});
            const auto evaluated = object ? evaluate(object->program, limited) : fail(object.error());
            if (!evaluated) {
                ++refused;
                continue;
            }
            ++accepted;
            ASSERT_EQ(agreements(object->program, evaluated->function, random, 20, 8), 20U) << name << " " << round;
        }
    }
    EXPECT_GT(accepted, 100U);
    EXPECT_GT(refused, 100U);
}

}  // namespace
}  // namespace bpfwarden::filter
