// SPDX-License-Identifier: Apache-2.0
#include "kernel/names.hpp"

#include <linux/bpf.h>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bpfwarden::kernel {

// On a failure gtest prints the kind's word, not its bytes.
void PrintTo(NameKind kind, std::ostream* out) { *out << describe(kind); }

namespace {

class KnownNames : public testing::TestWithParam<NameKind> {
  protected:
    const Names& names = Names::known();
    NameKind kind = GetParam();
};
INSTANTIATE_TEST_SUITE_P(Kinds, KnownNames, testing::ValuesIn(all_name_kinds));

TEST_P(KnownNames, GoBothWays) {
    for (const auto& one : names.all(kind)) {
        EXPECT_EQ(names.value(kind, one.name), one.value) << one.name;
        EXPECT_EQ(names.name(kind, one.value), std::string_view(one.name)) << one.value;
    }
}

TEST_P(KnownNames, AreSortedAndUnique) {
    std::set<std::string> seen;
    const auto list = names.all(kind);
    for (std::size_t i = 0; i < list.size(); ++i) {
        EXPECT_TRUE(seen.insert(list[i].name).second) << list[i].name << " twice";
        if (i > 0) {
            EXPECT_LT(list[i - 1].value, list[i].value);
        }
    }
}

// The kernel's lists have no gaps so far; a hole here would be a line lost.
TEST_P(KnownNames, HaveNoGaps) {
    const auto list = names.all(kind);
    ASSERT_FALSE(list.empty());
    EXPECT_EQ(list.back().value - list.front().value + 1, list.size());
    EXPECT_EQ(list.front().value, kind == NameKind::command || kind == NameKind::attach_type ? 0U : 1U);
}

TEST_P(KnownNames, AreSpelledAsMountOptions) {
    for (const auto& one : names.all(kind))
        EXPECT_THAT(one.name, testing::MatchesRegex("[a-z][a-z0-9_]+")) << one.value;
}

TEST_P(KnownNames, DoNotKnowOthers) {
    EXPECT_EQ(names.value(kind, "no_such_name"), std::nullopt);
    EXPECT_EQ(names.value(kind, ""), std::nullopt);
    EXPECT_EQ(names.value(kind, "bpf_"), std::nullopt);
    EXPECT_EQ(names.name(kind, names.all(kind).back().value + 1), std::nullopt);
    EXPECT_EQ(names.name(kind, 1U << 16), std::nullopt);
}

TEST(KnownNamesOf, TheNewestKernelRead) {
    const Names& names = Names::known();
    EXPECT_EQ(names.value(NameKind::command, "prog_assoc_struct_ops"), 38U);
    EXPECT_EQ(names.value(NameKind::map_type, "rhash"), 35U);
    EXPECT_EQ(names.value(NameKind::program_type, "netfilter"), 32U);
    EXPECT_EQ(names.value(NameKind::attach_type, "trace_fsession_multi"), 61U);
    EXPECT_EQ(names.value(NameKind::helper, "cgrp_storage_delete"), 211U);
}

TEST(KnownNamesOf, AreFoundByOtherSpellings) {
    const Names& names = Names::known();
    EXPECT_EQ(names.value(NameKind::command, "prog_test_run"), names.value(NameKind::command, "prog_run"));
    EXPECT_EQ(names.value(NameKind::command, "BPF_PROG_LOAD"), 5U);
    EXPECT_EQ(names.value(NameKind::map_type, "cgroup_storage_deprecated"), 19U);
    EXPECT_EQ(names.value(NameKind::map_type, "percpu_cgroup_storage_deprecated"), 21U);
    EXPECT_EQ(names.value(NameKind::map_type, "Lpm_Trie"), 11U);
    EXPECT_EQ(names.value(NameKind::map_type, "bpf_map_type_lpm_trie"), 11U);
    EXPECT_EQ(names.value(NameKind::program_type, "BPF_PROG_TYPE_XDP"), 6U);
    EXPECT_EQ(names.value(NameKind::attach_type, "BPF_CGROUP_INET_INGRESS"), 0U);
    EXPECT_EQ(names.value(NameKind::helper, "bpf_map_lookup_elem"), 1U);
    EXPECT_EQ(names.value(NameKind::helper, "BPF_FUNC_sys_bpf"), names.value(NameKind::helper, "sys_bpf"));
    // An enumerator of another kind is not a name of this one.
    EXPECT_EQ(names.value(NameKind::command, "BPF_MAP_TYPE_HASH"), std::nullopt);
    EXPECT_EQ(names.value(NameKind::map_type, "unspec"), std::nullopt);
}

TEST(KnownNamesOf, GiveMasks) {
    const Names& names = Names::known();
    EXPECT_EQ(names.mask(NameKind::command), (1ULL << 39) - 1);
    EXPECT_EQ(names.mask(NameKind::map_type), ((1ULL << 36) - 1) & ~1ULL);
    EXPECT_EQ(names.mask(NameKind::attach_type), (1ULL << 62) - 1);
}

struct HeaderName {
    NameKind kind;
    std::string_view name;
    std::uint32_t value;
};

TEST(KnownNamesOf, AgreeWithTheBuildMachinesHeader) {
    static constexpr HeaderName of_header[] = {
#define BPF_H_NAME(kind, name) {NameKind::kind, #name, std::uint32_t(name)},
#include "bpf_h_names.inc"
#undef BPF_H_NAME
// It puts the commas itself.
#ifdef __BPF_FUNC_MAPPER
#define HELPER(name) {NameKind::helper, #name, BPF_FUNC_##name}
        __BPF_FUNC_MAPPER(HELPER)
#undef HELPER
#endif
    };
    unsigned compared = 0;
    for (const auto& [kind, name, value] : of_header) {
        const bool counted_from_one =
            kind == NameKind::map_type || kind == NameKind::program_type || kind == NameKind::helper;
        if (value >= (1U << 16) || (value == 0 && counted_from_one)) continue;  // flags, and UNSPEC
        EXPECT_EQ(Names::known().value(kind, name), value) << describe(kind) << " " << name;
        ++compared;
    }
    EXPECT_GT(compared, 300U);
}

}  // namespace
}  // namespace bpfwarden::kernel
