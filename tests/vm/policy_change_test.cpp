// SPDX-License-Identifier: Apache-2.0
// A change of policy under processes that are in domains already: nobody is in another domain afterwards.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "enforce/policy_force.hpp"
#include "policy/parse.hpp"
#include "root/guests.hpp"
#include "vm/maker.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

class Change : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!std::getenv("BPFWARDEN_KERNEL")) GTEST_SKIP() << "runs in guests of tools/lab";
        for (const char* folder : {"one", "two", "three"}) fs::create_directories(place + folder);
    }
    void TearDown() override {
        (void)tool("remove");
        fs::remove_all(place);
    }
    static int tool(const std::string& words) {
        const int status =
            std::system(("/bpfwarden/bin/bpfwarden policy " + words + " > " + place + "said 2>&1").c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    static void apply(const std::string& text, const std::string& options = "") {
        std::ofstream(place + "policy.toml") << text;
        ASSERT_EQ(tool("apply " + options + " " + place + "policy.toml"), 0) << std::ifstream(place + "said").rdbuf();
    }
};

TEST_F(Change, DomainsKeepTheirNumbersAndOneThatIsGoneRefusesNothing) {
    apply(policy_of("first", "one"));
    Maker first("first");
    ASSERT_EQ(first.make("one/a"), EACCES);
    ASSERT_EQ(first.make("two/a"), 0);

    // The only domain of its file, so it would have the first one's number.
    apply(policy_of("second", "two"));
    Maker second("second");
    EXPECT_EQ(second.make("two/b"), EACCES) << "control: the new policy decides";
    EXPECT_EQ(first.make("two/c"), 0) << "the process of a domain that is gone is in no other";
    EXPECT_EQ(first.make("one/c"), 0) << "and what refused there is gone";

    // It comes back with its name, and its processes are in it.
    apply(policy_of("first", "one"));
    EXPECT_EQ(first.make("one/d"), EACCES);
    EXPECT_EQ(second.make("two/d"), 0);

    ASSERT_EQ(tool("rollback"), 0);
    EXPECT_EQ(first.make("one/e"), 0);
    EXPECT_EQ(second.make("two/e"), EACCES);
}

TEST_F(Change, WithoutItsRecordsAPolicyIsNotReplaced) {
    BW_IN_ONE_GUEST("edge");
    apply(policy_of("first", "one"));
    fs::remove_all("/var/lib/bpfwarden/policy");
    std::ofstream(place + "policy.toml") << policy_of("second", "two");
    EXPECT_EQ(tool("apply " + place + "policy.toml"), 1);
    Maker first("first");
    EXPECT_EQ(first.make("one/a"), EACCES) << "the old one is in force as before";
}

TEST_F(Change, WhatIsNotConfirmedInTimeGoesByItself) {
    BW_IN_ONE_GUEST("edge");
    apply(policy_of("first", "one"));
    Maker first("first");
    apply(policy_of("first", "two"), "--confirm-within 2s");
    EXPECT_EQ(first.make("two/a"), EACCES);
    // Nothing runs that could do it.
    for (int i = 0; i < 100 && first.make("two/b" + std::to_string(i)) == EACCES; ++i) ::usleep(50'000);
    EXPECT_EQ(first.make("one/b"), EACCES);
    EXPECT_EQ(tool("confirm"), 1) << "there is nothing to confirm any more";
    EXPECT_EQ(tool("rollback"), 5) << "nor anything to go back to: what was not confirmed is gone";

    apply(policy_of("first", "two"), "--confirm-within 2s");
    EXPECT_EQ(tool("confirm"), 0);
    ::sleep(3);
    EXPECT_EQ(first.make("two/z"), EACCES) << "control: what is confirmed stays";
}

std::uint32_t put(enforce::PolicyForce& force, const std::string& text, std::chrono::seconds confirm_within = {}) {
    Diagnostics diagnostics;
    std::vector<policy::Policy> policies;
    policies.push_back(policy::parse(text, "change.toml", {}, diagnostics).value());
    return force.apply(policy::compile(policies, diagnostics).value(), confirm_within).value();
}

// Whoever holds the lock when the time runs out learns of it from the clock alone.
TEST_F(Change, WhatRanOutWhileTheNextIsAppliedDoesNotComeBack) {
    BW_IN_ONE_GUEST("edge");
    auto force = enforce::PolicyForce::open().value();
    const auto confirmed = put(force, policy_of("first", "one"));
    Maker first("first");
    const auto unconfirmed = put(force, policy_of("first", "two"), std::chrono::seconds(1));
    const auto corrected = put(force, policy_of("first", "{two,three}"), std::chrono::seconds(1));
    EXPECT_EQ(first.make("three/a"), EACCES);
    EXPECT_EQ(force.status()->before, confirmed) << "what was never confirmed is nothing to come back to";
    for (int i = 0; i < 100 && first.make("two/a" + std::to_string(i)) == EACCES; ++i) ::usleep(50'000);
    EXPECT_EQ(first.make("one/a"), EACCES) << "the confirmed one decides, and this process has not been told";
    EXPECT_FALSE(force.confirm()) << "it would bring back what ran out";
    EXPECT_EQ(first.make("one/b"), EACCES);

    // The numbers of those that ran out are not used again: what is kept about directories is kept by number.
    const auto next = put(force, policy_of("first", "three"));
    EXPECT_GT(next, corrected);
    EXPECT_GT(corrected, unconfirmed);
    EXPECT_EQ(first.make("two/b"), 0);
    EXPECT_EQ(first.make("three/b"), EACCES);
    EXPECT_EQ(force.status()->before, confirmed);
    EXPECT_EQ(force.rollback().value(), confirmed);
    EXPECT_EQ(first.make("one/c"), EACCES);
}

TEST_F(Change, WhoWasInADomainThatRanOutIsInNoOther) {
    BW_IN_ONE_GUEST("edge");
    apply(policy_of("first", "one"));
    apply(policy_of("first", "one") + R"(
[[domain]]
name = "second"
enter = [ { exe = "/run/bw-change/second" } ]
[[rule]]
domains = ["second"]
deny = ["mkdir"]
paths = ["/run/bw-change/two/*"]
)",
          "--confirm-within 2s");
    Maker second("second");
    for (int i = 0; i < 100 && second.make("two/a" + std::to_string(i)) == EACCES; ++i) ::usleep(50'000);
    // A domain that would have the second one's number, if that was free.
    apply(policy_of("third", "two"));
    EXPECT_EQ(second.make("two/b"), 0);
    EXPECT_EQ(Maker("third").make("two/c"), EACCES) << "control: it is in force";

    // The same where nothing comes back.
    ASSERT_EQ(tool("remove"), 0);
    apply(policy_of("first", "one"), "--confirm-within 1s");
    Maker first("first");
    for (int i = 0; i < 100 && first.make("one/a" + std::to_string(i)) == EACCES; ++i) ::usleep(50'000);
    EXPECT_EQ(first.make("one/b"), 0);
    apply(policy_of("third", "two"));
    EXPECT_EQ(first.make("two/d"), 0);
    EXPECT_EQ(Maker("third").make("two/e"), EACCES) << "control: it is in force";
}

}  // namespace
}  // namespace bpfwarden::test
