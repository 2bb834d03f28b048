// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernel/mount.hpp"

namespace bpfwarden::kernel {

TEST(MountTable, ReadsEachFieldAndUnescapesPaths) {
    const auto table = parse_mount_table(
        "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n"
        "40 36 0:30 / /sys/fs/bpf rw,nosuid - bpf none rw,mode=700,delegate_cmds=map_create\n"
        "41 36 0:4 net:[4026532008] /run/netns/a\\134b rw - nsfs nsfs rw\n");
    ASSERT_EQ(table.size(), 3U);
    EXPECT_EQ(table[0].id, 36U);
    EXPECT_EQ(table[0].parent, 35U);
    EXPECT_EQ(table[0].root, "/mnt1");
    EXPECT_EQ(table[0].path, "/mnt 2");
    EXPECT_EQ(table[0].file_system, "ext3");
    EXPECT_EQ(table[0].options, "rw,noatime");
    EXPECT_EQ(table[1].super_options, "rw,mode=700,delegate_cmds=map_create");
    EXPECT_EQ(table[2].root, "net:[4026532008]");
    EXPECT_EQ(table[2].path, "/run/netns/a\\b");
}

TEST(MountTable, PassesOverWhatIsNoEntry) {
    EXPECT_TRUE(parse_mount_table("").empty());
    EXPECT_TRUE(parse_mount_table("nonsense\n36 35 98:0 / /x\n - \n1 2 3 - a\n").empty());
    EXPECT_EQ(parse_mount_table("1 2 0:1 / /a\\04 rw - t s o").front().path, "/a\\04");
}

TEST(MountTable, OfThisProcessHasARoot) {
    const auto table = mount_table();
    ASSERT_TRUE(table);
    bool root = false;
    for (const auto& mount : *table) root |= mount.path == "/";
    EXPECT_TRUE(root);
}

}  // namespace bpfwarden::kernel
