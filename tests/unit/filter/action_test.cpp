// SPDX-License-Identifier: Apache-2.0
#include "filter/action.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace bpfwarden::filter {
namespace {

TEST(Action, TextAndBack) {
    for (const std::uint32_t value :
         {std::uint32_t{SECCOMP_RET_KILL_PROCESS}, std::uint32_t{SECCOMP_RET_KILL_THREAD},
          std::uint32_t{SECCOMP_RET_TRAP}, error_of(EPERM), error_of(38), error_of(0), error_of(4095),
          std::uint32_t{SECCOMP_RET_USER_NOTIF}, SECCOMP_RET_TRACE | 7U, std::uint32_t{SECCOMP_RET_LOG}, allow})
        EXPECT_EQ(parse_action(text(value)), value) << text(value);
    EXPECT_EQ(text(error_of(EPERM)), "ERRNO(EPERM)");
    EXPECT_EQ(parse_action("SCMP_ACT_ERRNO"), error_of(EPERM));
    EXPECT_EQ(parse_action("errno 38"), error_of(38));
    EXPECT_EQ(parse_action("kill"), std::uint32_t{SECCOMP_RET_KILL_THREAD});
    for (const auto* wrong : {"", "ALOW", "ERRNO()", "ERRNO(", "ERRNO(EWHAT)", "ERRNO(70000)", "ALLOW(1)", "errno "})
        EXPECT_EQ(parse_action(wrong), std::nullopt) << wrong;
    for (const auto* name : {"EAGAIN", "EWOULDBLOCK", "11"}) EXPECT_EQ(parse_errno(name), EAGAIN) << name;
    EXPECT_EQ(parse_errno("ENOTSUP"), EOPNOTSUPP);
    for (const auto* wrong : {"", "E", "-1", "65536", "1 "}) EXPECT_EQ(parse_errno(wrong), std::nullopt) << wrong;
}

TEST(Action, AsTheKernelTakesIt) {
    EXPECT_EQ(normalized(allow | 5), allow);
    EXPECT_EQ(normalized(error_of(5000)), error_of(4095));
    EXPECT_EQ(normalized(SECCOMP_RET_TRACE | 5U), SECCOMP_RET_TRACE | 5U);
    EXPECT_FALSE(is_action(0x12340000));
    EXPECT_TRUE(outranks(SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD));
    EXPECT_TRUE(outranks(SECCOMP_RET_TRAP, allow));
    EXPECT_FALSE(outranks(allow, allow));
}

}  // namespace
}  // namespace bpfwarden::filter
