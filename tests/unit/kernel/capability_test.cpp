// SPDX-License-Identifier: Apache-2.0
#include "kernel/capability.hpp"

#include <linux/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bpfwarden::kernel {
namespace {

TEST(CapabilityNames, GoBothWays) {
    for (unsigned number = 0; number <= CAP_LAST_CAP; ++number)
        EXPECT_EQ(capability_number(capability_name(number)), number);
    EXPECT_EQ(capability_number("CAP_NET_ADMIN"), unsigned{CAP_NET_ADMIN});
    EXPECT_EQ(capability_number("Net_Admin"), unsigned{CAP_NET_ADMIN});
    EXPECT_EQ(capability_number("bpf"), unsigned{CAP_BPF});
    EXPECT_EQ(capability_number("perfmon"), unsigned{CAP_PERFMON});
    EXPECT_EQ(capability_name(CAP_CHECKPOINT_RESTORE), "checkpoint_restore");
    for (const char* bad : {"", "cap_", "bfp", "all", "12"}) EXPECT_EQ(capability_number(bad), std::nullopt) << bad;
    EXPECT_EQ(capability_name(63), "capability 63");
}

// What a child of this test makes of keep_only(): 0 done, 1 refused.
int keep_in_child(CapabilityMask keep) {
    const pid_t child = fork();
    if (child == 0) _exit(keep_only(keep) ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(KeepOnly, RefusesWhatTheProcessDoesNotHave) {
    EXPECT_EQ(keep_in_child(CapabilityMask{1} << 63), 1);
    const auto error = keep_only(CapabilityMask{1} << 63).error();
    EXPECT_EQ(error.code(), Code::denied);
    EXPECT_NE(error.why().find("capability 63"), std::string::npos) << error.why();
}

}  // namespace
}  // namespace bpfwarden::kernel
