// SPDX-License-Identifier: Apache-2.0
#include "kernel/user.hpp"

#include <gmock/gmock.h>

namespace bpfwarden::kernel {

TEST(User, ByNameAndByNumber) {
    const auto root = find_user("root"), zero = find_user("0");
    ASSERT_TRUE(root && zero);
    EXPECT_EQ(root->uid, 0U);
    EXPECT_EQ(zero->name, "root");
    EXPECT_THAT(root->groups, testing::Contains(0U));
    EXPECT_THAT(root->group_names, testing::Contains("root"));
}

TEST(User, ANumberNeedsNoEntry) {
    const auto nobodys = find_user("47114711");
    ASSERT_TRUE(nobodys);
    EXPECT_EQ(nobodys->uid, 47114711U);
    EXPECT_EQ(nobodys->gid, 47114711U);
    EXPECT_EQ(nobodys->name, "");
    const auto with_group = find_user("47114711:0");
    ASSERT_TRUE(with_group);
    EXPECT_EQ(with_group->gid, 0U);
}

TEST(User, RefusesTheRest) {
    for (const char* bad :
         {"", "no-such-user-here", "-1", "4294967295", "4294967296", "root:no-such-group-here", "12x", ":0"})
        EXPECT_FALSE(find_user(bad)) << bad;
}

}  // namespace bpfwarden::kernel
