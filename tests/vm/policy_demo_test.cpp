// SPDX-License-Identifier: Apache-2.0
// The demonstration of policies, as it is: Debian's nginx, attacks from inside it and their controls, generations under
// load.
#include <gtest/gtest.h>
#include <unistd.h>

#include "root/guests.hpp"
#include "vm/demo.hpp"

namespace bpfwarden::test {
namespace {

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
    expect_as_it_should("demo-policy", "lts");
}

}  // namespace
}  // namespace bpfwarden::test
