// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernel/bpf.hpp"

namespace bpfwarden::kernel {

TEST(TokenInfo, ReadsMasksAndAny) {
    const auto masks = parse_token_fdinfo(
        "pos:\t0\nflags:\t02\nmnt_id:\t17\nallowed_cmds:\t0x40021\nallowed_maps:\t0x4\nallowed_progs:\tany\nallowed_"
        "attachs:\t0x0\n");
    ASSERT_TRUE(masks);
    EXPECT_EQ(*masks, (Delegation{0x40021, 0x4, ~0ULL, 0}));
}

TEST(TokenInfo, RefusesWhatIsIncompleteOrNotANumber) {
    EXPECT_FALSE(parse_token_fdinfo(""));
    EXPECT_FALSE(parse_token_fdinfo("allowed_cmds:\t0x1\nallowed_maps:\t0x4\nallowed_progs:\t0x1\n"));
    EXPECT_FALSE(
        parse_token_fdinfo("allowed_cmds:\t0x1\nallowed_maps:\t0xg\nallowed_progs:\t0x1\nallowed_attachs:\t0x1\n"));
    EXPECT_FALSE(
        parse_token_fdinfo("allowed_cmds:\t1\nallowed_maps:\t0x1\nallowed_progs:\t0x1\nallowed_attachs:\t0x1\n"));
    EXPECT_FALSE(parse_token_fdinfo(
        "allowed_cmds:\t0x1ffffffffffffffff\nallowed_maps:\t0x1\nallowed_progs:\t0x1\nallowed_attachs:\t0x1\n"));
}

}  // namespace bpfwarden::kernel
