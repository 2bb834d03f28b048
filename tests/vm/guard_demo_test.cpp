// SPDX-License-Identifier: Apache-2.0
// The demonstration of the guard, as it is: attacks of root and their controls, the seal, changes under load.
#include <gtest/gtest.h>

#include "root/guests.hpp"
#include "vm/demo.hpp"

namespace bpfwarden::test {
namespace {

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
    expect_as_it_should("demo-guard", "edge");
}

}  // namespace
}  // namespace bpfwarden::test
