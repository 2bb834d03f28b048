// SPDX-License-Identifier: Apache-2.0
#include "vm/demo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>

namespace bpfwarden::test {

using ::testing::ContainsRegex, ::testing::HasSubstr, ::testing::Not;

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

void expect_as_it_should(const std::string& name, const std::string& role) {
    const auto ran = run("/bpfwarden/demo/" + name + " --inside " + role);
    EXPECT_EQ(ran.status, 0) << ran.output;
    EXPECT_THAT(ran.output, Not(HasSubstr("NOT AS IT SHOULD BE")));
    EXPECT_THAT(ran.output, ContainsRegex("\n" + name + ": all [0-9]+ steps happened as they should\n$"));
}

}  // namespace bpfwarden::test
