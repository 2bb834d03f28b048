// SPDX-License-Identifier: Apache-2.0
// A change of policy under processes that are in domains already: nobody is in another domain afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "root/guests.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr, ::testing::Not;

const std::string place = "/run/bw-change/";

// Of an operation that few programs are needed for: they take seconds to verify in a guest.
std::string policy(const std::string& domain, const std::string& refused) {
    return fmt::format(R"(format = 1
name = "{0}"
mode = "enforce"
[[domain]]
name = "{0}"
enter = [ {{ exe = "{1}{0}" }} ]
[[rule]]
deny = ["mkdir"]
paths = ["{1}{2}/*"]
)",
                       domain, place, refused);
}

// A copy of this program, in the domain that is called like it. For each line it makes the directory that is in it, and
// answers with errno.
__attribute__((constructor)) void be_the_maker() {
    if (!std::getenv("BW_MAKER")) return;
    char line[256];
    while (std::fgets(line, sizeof line, stdin)) {
        line[std::string(line).find('\n')] = 0;
        std::printf("%d\n", ::mkdir(line, 0755) == 0 ? 0 : errno);
        std::fflush(stdout);
    }
    ::_exit(0);
}

class Maker {
  public:
    explicit Maker(const std::string& domain) {
        fs::copy_file("/proc/self/exe", place + domain, fs::copy_options::skip_existing);
        int in[2], out[2];
        if (::pipe(in) || ::pipe(out)) std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(in[0], 0);
            ::dup2(out[1], 1);
            for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
            ::setenv("BW_MAKER", "1", 1);
            ::execl((place + domain).c_str(), domain.c_str(), nullptr);
            ::_exit(126);
        }
        ::close(in[0]);
        ::close(out[1]);
        to_ = ::fdopen(in[1], "w");
        from_ = ::fdopen(out[0], "r");
    }
    Maker(const Maker&) = delete;
    ~Maker() {
        std::fclose(to_);
        std::fclose(from_);
        ::waitpid(pid_, nullptr, 0);
    }
    // 0, or errno.
    int make(const std::string& directory) {
        int answer = -1;
        std::fprintf(to_, "%s%s\n", place.c_str(), directory.c_str());
        std::fflush(to_);
        return std::fscanf(from_, "%d", &answer) == 1 ? answer : -1;
    }

  private:
    pid_t pid_ = -1;
    FILE *to_ = nullptr, *from_ = nullptr;
};

class Change : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!std::getenv("BPFWARDEN_KERNEL")) GTEST_SKIP() << "runs in guests of tools/lab";
        for (const char* folder : {"one", "two"}) fs::create_directories(place + folder);
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
    static std::string said() {
        std::stringstream text;
        text << std::ifstream(place + "said").rdbuf();
        return text.str();
    }
    static void apply(const std::string& text, const std::string& options = "") {
        std::ofstream(place + "policy.toml") << text;
        ASSERT_EQ(tool("apply " + options + " " + place + "policy.toml"), 0) << std::ifstream(place + "said").rdbuf();
    }
};

TEST_F(Change, DomainsKeepTheirNumbersAndOneThatIsGoneRefusesNothing) {
    apply(policy("first", "one"));
    Maker first("first");
    ASSERT_EQ(first.make("one/a"), EACCES);
    ASSERT_EQ(first.make("two/a"), 0);

    // The only domain of its file, so it would have the first one's number.
    apply(policy("second", "two"));
    Maker second("second");
    EXPECT_EQ(second.make("two/b"), EACCES) << "control: the new policy decides";
    EXPECT_EQ(first.make("two/c"), 0) << "the process of a domain that is gone is in no other";
    EXPECT_EQ(first.make("one/c"), 0) << "and what refused there is gone";

    // It comes back with its name, and its processes are in it.
    apply(policy("first", "one"));
    EXPECT_EQ(first.make("one/d"), EACCES);
    EXPECT_EQ(second.make("two/d"), 0);

    ASSERT_EQ(tool("rollback"), 0);
    EXPECT_EQ(first.make("one/e"), 0);
    EXPECT_EQ(second.make("two/e"), EACCES);
}

TEST_F(Change, WithoutItsRecordsAPolicyIsNotReplaced) {
    BW_IN_ONE_GUEST("floor");
    apply(policy("first", "one"));
    fs::remove_all("/var/lib/bpfwarden/policy");
    std::ofstream(place + "policy.toml") << policy("second", "two");
    EXPECT_EQ(tool("apply " + place + "policy.toml"), 1);
    Maker first("first");
    EXPECT_EQ(first.make("one/a"), EACCES) << "the old one is in force as before";
}

TEST_F(Change, WhatIsNotConfirmedInTimeGoesByItself) {
    BW_IN_ONE_GUEST("floor");
    apply(policy("first", "one"));
    Maker first("first");
    apply(policy("first", "two"), "--confirm-within 2s");
    EXPECT_EQ(first.make("two/a"), EACCES);
    // Nothing runs that could do it.
    for (int i = 0; i < 100 && first.make("two/b" + std::to_string(i)) == EACCES; ++i) ::usleep(50'000);
    EXPECT_EQ(first.make("one/b"), EACCES);
    EXPECT_EQ(tool("confirm"), 1) << "there is nothing to confirm any more";

    apply(policy("first", "two"), "--confirm-within 2s");
    EXPECT_EQ(tool("confirm"), 0);
    ::sleep(3);
    EXPECT_EQ(first.make("two/z"), EACCES) << "control: what is confirmed stays";
}

TEST_F(Change, WhatTheClockTookAwayDecidesNothingInTheNext) {
    BW_IN_ONE_GUEST("floor");
    apply(policy("first", "two"), "--confirm-within 5s");
    Maker first("first");
    ASSERT_EQ(first.make("two/a"), EACCES);
    ASSERT_EQ(first.make("one/a"), 0) << "the kernel keeps what these directories are to the policy";
    for (int i = 0; i < 200 && first.make("two/b" + std::to_string(i)) == EACCES; ++i) ::usleep(50'000);
    ASSERT_EQ(first.make("two/c"), 0) << "control: it is gone";

    // With its number the counts and events of the one that is gone would be this one's, and what the kernel keeps
    // about directories.
    apply(policy("first", "one"));
    ASSERT_EQ(tool("status"), 0);
    const auto status = said();
    EXPECT_THAT(status, HasSubstr("generation  2\n"));
    EXPECT_THAT(status, Not(HasSubstr("policy.toml:"))) << "no rule of this one has refused anything";
    EXPECT_EQ(first.make("one/d"), EACCES);
    EXPECT_EQ(first.make("two/d"), 0);
}

}  // namespace
}  // namespace bpfwarden::test
