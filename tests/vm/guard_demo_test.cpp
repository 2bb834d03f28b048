// SPDX-License-Identifier: Apache-2.0
// The demonstration of the guard, as it is: attacks of root and their controls, the seal, changes under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "root/guests.hpp"

namespace bpfwarden::test {
namespace {

using ::testing::ContainsRegex, ::testing::HasSubstr, ::testing::Not;

const std::string script = "/bpfwarden/demo/demo-guard";

struct Ran {
    int status = -1;
    std::string output;
};
Ran run(const std::string& command) {
    Ran ran;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return ran;
    char buffer[4096];
    while (const auto n = std::fread(buffer, 1, sizeof buffer, pipe)) ran.output.append(buffer, n);
    const int status = ::pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
}

class GuardDemo : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "BPF LSM decides in guests of tools/lab only";
    }
    void TearDown() override {
        (void)run(
            "/usr/local/sbin/console /usr/local/sbin/admin /bpfwarden/bin/bpfwarden guard unseal; "
            "/bpfwarden/bin/bpfwarden policy remove");
    }
};

TEST_F(GuardDemo, HappensAsItShould) {
    BW_IN_ONE_GUEST("edge");
    const auto ran = run(script + " --inside edge");
    EXPECT_EQ(ran.status, 0) << ran.output;
    EXPECT_THAT(ran.output, Not(HasSubstr("NOT AS IT SHOULD BE")));
    EXPECT_THAT(ran.output, ContainsRegex("\ndemo-guard: all [0-9]+ steps happened as they should\n$"));
}

}  // namespace
}  // namespace bpfwarden::test
