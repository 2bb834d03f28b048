// SPDX-License-Identifier: Apache-2.0
#include "grant/masks.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "grants.hpp"

namespace bpfwarden::grant {

using kernel::NameKind;
using kernel::Names;

static std::uint64_t bit(NameKind kind, std::string_view name) {
    return std::uint64_t{1} << Names::known().value(kind, name).value();
}

TEST(Masks, HoldWrittenAndImpliedBits) {
    const auto masks = token_masks(allowing("program_types = ['xdp']\nmap_types = ['lpm_trie']"));
    EXPECT_EQ(masks.programs, bit(NameKind::program_type, "xdp") | bit(NameKind::program_type, "socket_filter"));
    EXPECT_EQ(masks.maps, bit(NameKind::map_type, "lpm_trie") | bit(NameKind::map_type, "array"));
    EXPECT_EQ(masks.attachs, bit(NameKind::attach_type, "xdp") | 1U) << "bit 0 is cgroup_inet_ingress";
    EXPECT_EQ(masks.commands, bit(NameKind::command, "map_create") | bit(NameKind::command, "prog_load") |
                                  bit(NameKind::command, "btf_load"));
}

TEST(Masks, HoldNoCommandThatTakesNoToken) {
    const auto masks = token_masks(allowing("program_types = ['any']\nmap_types = ['any']\nattach_types = ['any']"));
    EXPECT_EQ(masks.commands, bit(NameKind::command, "map_create") | bit(NameKind::command, "prog_load") |
                                  bit(NameKind::command, "btf_load") | bit(NameKind::command, "btf_get_fd_by_id"));
    EXPECT_FALSE(is_token_command("link_create"));
}

// `any` of the kernel is all 64 bits, what future kernels add among them.
TEST(Masks, AnyNeverMeansUnknownBits) {
    const auto masks = token_masks(allowing("program_types = ['any']\nmap_types = ['any']\nattach_types = ['any']"));
    EXPECT_EQ(masks.maps, Names::known().mask(NameKind::map_type));
    EXPECT_EQ(masks.programs, Names::known().mask(NameKind::program_type));
    EXPECT_EQ(masks.attachs, Names::known().mask(NameKind::attach_type));
}

TEST(Masks, WaysToAttachAreNotBits) {
    const auto masks = token_masks(allowing("program_types = ['tracepoint', 'raw_tracepoint']"));
    EXPECT_EQ(masks.attachs, 1U) << "perf_event and trace_raw_tp say how a link is made, not what is loaded";
}

TEST(Masks, NothingAllowedIsNoBit) {
    EXPECT_EQ(token_masks(resolved("format = 1")), TokenMasks{});
    EXPECT_EQ(token_masks(allowing("program_types = []")), TokenMasks{});
    EXPECT_EQ(token_masks(allowing("program_types = ['xdp']\ncommands = []")).commands, 0U);
}

TEST(Masks, ARunningKernelDropsWhatItLacks) {
    const auto grant = allowing("program_types = ['netfilter']\nmap_types = ['arena', 'hash']");
    const auto all = token_masks(grant, Names::known());
    EXPECT_TRUE(all.dropped.empty());
    EXPECT_EQ(all.masks, token_masks(grant));
    const Names none;
    const auto dropped = token_masks(grant, none);
    EXPECT_EQ(dropped.masks, TokenMasks{});
    const auto arena = std::ranges::find(dropped.dropped, "arena", &DroppedBit::name);
    ASSERT_NE(arena, dropped.dropped.end());
    EXPECT_TRUE(arena->written);
    EXPECT_EQ(arena->at.line, 4U);
    const auto probe = std::ranges::find(dropped.dropped, "socket_filter", &DroppedBit::name);
    ASSERT_NE(probe, dropped.dropped.end());
    EXPECT_FALSE(probe->written);
}

}  // namespace bpfwarden::grant
