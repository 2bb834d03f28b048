// SPDX-License-Identifier: Apache-2.0
// What keep_only() leaves, by the kernel's own account: /proc/self/status of a program that was started afterwards.
#include "kernel/capability.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

namespace bpfwarden::kernel {
namespace {

constexpr CapabilityMask bit(unsigned number) { return CapabilityMask{1} << number; }

enum class Who { root, nobody };

// The Cap… lines of a cat(1) started with exactly `keep`, or nothing if that could not be set up.
std::map<std::string, CapabilityMask> sets_after_exec(Who who, CapabilityMask keep) {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        // With the uid changed first, as the header says: a change from 0 empties the ambient set.
        if (who == Who::nobody && (prctl(PR_SET_KEEPCAPS, 1) != 0 || setresgid(65534, 65534, 65534) != 0 ||
                                   setresuid(65534, 65534, 65534) != 0))
            _exit(1);
        if (!keep_only(keep)) _exit(2);
        execl("/bin/cat", "cat", "/proc/self/status", nullptr);
        _exit(3);
    }
    close(fds[1]);
    std::string text;
    char part[512];
    for (ssize_t got; (got = read(fds[0], part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(got));
    close(fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    std::map<std::string, CapabilityMask> sets;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("Cap")) sets[line.substr(3, 3)] = std::strtoull(line.c_str() + 8, nullptr, 16);
    return sets;
}

using Sets = std::map<std::string, CapabilityMask>;

Sets all(CapabilityMask mask) { return {{"Inh", mask}, {"Prm", mask}, {"Eff", mask}, {"Bnd", mask}, {"Amb", mask}}; }

TEST(KeepOnly, HoldsAcrossExecByAnotherUser) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << geteuid();
    const CapabilityMask keep = bit(CAP_BPF) | bit(CAP_NET_ADMIN) | bit(CAP_PERFMON);
    EXPECT_EQ(sets_after_exec(Who::nobody, keep), all(keep));
}

TEST(KeepOnly, LeavesNothingWhenAskedForNothing) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << geteuid();
    EXPECT_EQ(sets_after_exec(Who::nobody, 0), all(0));
}

// execve() as root gives all of the bounding set back: it must be that small too.
TEST(KeepOnly, HoldsAcrossExecByRoot) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << geteuid();
    const CapabilityMask keep = bit(CAP_BPF);
    const Sets sets = sets_after_exec(Who::root, keep);
    EXPECT_EQ(sets.at("Prm"), keep);
    EXPECT_EQ(sets.at("Eff"), keep);
    EXPECT_EQ(sets.at("Bnd"), keep);
}

// The control: without keep_only() root's execve() has far more.
TEST(KeepOnly, IsWhatMakesTheDifference) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << geteuid();
    const auto now = effective_capabilities();
    ASSERT_TRUE(now);
    EXPECT_NE(*now & ~bit(CAP_BPF), 0U);
    EXPECT_NE(*now & bit(CAP_SYS_ADMIN), 0U);
}

}  // namespace
}  // namespace bpfwarden::kernel
