// SPDX-License-Identifier: Apache-2.0
// The demonstration of policies, as it is: Debian's nginx, attacks from inside it and their controls, generations under
// load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "root/guests.hpp"

namespace bpfwarden::test {
namespace {

using ::testing::ContainsRegex, ::testing::HasSubstr, ::testing::Not;

const std::string script = "/bpfwarden/demo/demo-policy";

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

class PolicyDemo : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "BPF LSM decides in guests of tools/lab only";
        if (::access("/usr/sbin/nginx", X_OK))
            GTEST_SKIP() << "this guest has no nginx: the Debian mirror did not give it";
    }
    void TearDown() override { (void)run("/bpfwarden/bin/bpfwarden policy remove"); }
};

TEST_F(PolicyDemo, HappensAsItShould) {
    BW_IN_ONE_GUEST("lts");
    const auto ran = run(script + " --inside lts");
    EXPECT_EQ(ran.status, 0) << ran.output;
    EXPECT_THAT(ran.output, Not(HasSubstr("NOT AS IT SHOULD BE")));
    EXPECT_THAT(ran.output, ContainsRegex("\ndemo-policy: all [0-9]+ steps happened as they should\n$"));
}

}  // namespace
}  // namespace bpfwarden::test
