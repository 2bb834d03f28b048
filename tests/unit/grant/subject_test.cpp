// SPDX-License-Identifier: Apache-2.0
#include "grant/subject.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

static const std::string digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static Opener agent() {
    return {.uid = 1000,
            .user = "alice",
            .gids = {1000, 27},
            .groups = {"alice", "bpf"},
            .cgroup = "/system.slice/agent.service",
            .exe = "/usr/bin/agent",
            .exe_sha256 = digest};
}
static bool admits(const std::string& subject, const Opener& opener) {
    return !refuses_opener(resolved("format = 1\n" + subject), opener);
}

TEST(Subject, WithoutOneIsForRoot) {
    EXPECT_TRUE(admits("", Opener{.uid = 0}));
    EXPECT_FALSE(admits("", agent()));
    EXPECT_FALSE(admits("subject = []", agent()));
}

TEST(Subject, EachConditionByItself) {
    for (const char* good : {"user = 'alice'", "group = 'bpf'", "uid = 1000", "gid = 27", "cgroup = '/system.slice/*'",
                             "exe = '/usr/bin/*'"})
        EXPECT_TRUE(admits("subject = [ { " + std::string(good) + " } ]", agent())) << good;
    EXPECT_TRUE(admits("subject = [ { exe_sha256 = '" + digest + "' } ]", agent()));
    for (const char* bad :
         {"user = 'bob'", "group = 'wheel'", "uid = 1", "gid = 1", "cgroup = '/user.slice/**'", "exe = '/usr/*'"})
        EXPECT_FALSE(admits("subject = [ { " + std::string(bad) + " } ]", agent())) << bad;
}

TEST(Subject, AnyLineAndAllOfALine) {
    EXPECT_TRUE(admits("subject = [ { user = 'bob' }, { uid = 1000 } ]", agent()));
    EXPECT_TRUE(admits("subject = [ { user = 'alice', exe = '/usr/bin/agent' } ]", agent()));
    EXPECT_FALSE(admits("subject = [ { user = 'alice', exe = '/bin/sh' } ]", agent()));
}

TEST(Subject, WhatIsNotKnownMatchesNothing) {
    for (const char* condition : {"user = 'alice'", "group = 'bpf'", "gid = 27", "cgroup = '/**'", "exe = '/**'"})
        EXPECT_FALSE(admits("subject = [ { " + std::string(condition) + " } ]", Opener{.uid = 5})) << condition;
}

TEST(Subject, RefusalsSayWhy) {
    const auto why = refuses_opener(resolved("format = 1\nsubject = [ { user = 'bob' } ]"), agent());
    ASSERT_TRUE(why);
    EXPECT_EQ(why->code(), Code::denied);
    EXPECT_THAT(why->why(), ::testing::HasSubstr("t.toml:2:15"));
    EXPECT_THAT(why->what(), ::testing::HasSubstr("alice"));
}

}  // namespace bpfwarden::grant
