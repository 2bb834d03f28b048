// SPDX-License-Identifier: Apache-2.0
// bpfwarden-guard at its start: what it puts in force, what it refuses and tells, and what it leaves alone.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "enforce/policy_force.hpp"
#include "root/guests.hpp"
#include "vm/maker.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string log_file = place + "log/policy.jsonl", policies = place + "policies.d";

std::string read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}
std::size_t count(const std::string& event, const std::string& path = log_file) {
    const auto text = read(path), wanted = "\"event\":\"" + event + "\"";
    std::size_t number = 0;
    for (auto at = text.find(wanted); at != text.npos; at = text.find(wanted, at + 1)) ++number;
    return number;
}
bool eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}
std::uint32_t generation() {
    const auto force = enforce::PolicyForce::adopt();
    return force ? force->status()->generation : 0;
}

unsigned links() {
    unsigned number = 0;
    for (__u32 id = 0; ::bpf_link_get_next_id(id, &id) == 0;) ++number;
    return number;
}

class Guard {
  public:
    // Returns when it serves: whatever there was to put in force, it has.
    Guard() {
        const auto said = place + "said";
        fs::remove(said);
        pid_ = ::fork();
        if (pid_ == 0) {
            const int out = ::open(said.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            ::dup2(out, 2);
            ::execl("/bpfwarden/bin/bpfwarden-guard", "bpfwarden-guard", "--run", (place + "run").c_str(), "--audit",
                    log_file.c_str(), "--policies", policies.c_str(), nullptr);
            ::_exit(127);
        }
        EXPECT_TRUE(eventually([&] { return read(said).contains("in force\n"); })) << read(said);
    }
    Guard(const Guard&) = delete;
    ~Guard() { EXPECT_EQ(end(), 0); }
    int end() {
        int status = 0;
        ::kill(pid_, SIGTERM);
        ::waitpid(pid_, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    bool runs() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;
};

TEST(PolicyGuard, AtItsStart) {
    if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
    BW_IN_ONE_GUEST("floor");
    const auto links_before = links();
    for (const char* folder : {"one", "two", "log", "run", "policies.d"}) fs::create_directories(place + folder);
    {  // Nothing there, and one of two is wrong: nothing is in force, and it goes on.
        Guard guard;
        EXPECT_EQ(count("policy_refused"), 0U);
        EXPECT_EQ(generation(), 0U);
    }
    std::ofstream(policies + "/good.toml") << policy_of("maker", "one");
    std::ofstream(policies + "/wrong.toml") << policy_of("other", "two") << "no_such_key = 1\n";
    {
        Guard guard;
        EXPECT_EQ(count("policy_refused"), 1U) << read(log_file);
        EXPECT_TRUE(read(log_file).contains("wrong.toml")) << read(log_file);
        EXPECT_TRUE(read(place + "said").contains("no_such_key")) << read(place + "said");
        EXPECT_EQ(generation(), 0U);
        EXPECT_TRUE(guard.runs());
    }
    EXPECT_EQ(Maker("maker").make("one/refused"), 0) << "the control";
    fs::remove(policies + "/wrong.toml");
    Maker maker("maker");
    {
        Guard guard;
        EXPECT_EQ(generation(), 1U) << read(place + "said");
        EXPECT_EQ(count("policy_in_force"), 1U);
        EXPECT_EQ(count("policy_refused"), 1U) << "the one before";
        EXPECT_EQ(maker.make("one/before"), 0) << "who ran before is in no domain";
        Maker next("maker");
        EXPECT_EQ(next.make("one/a"), EACCES);
        ASSERT_TRUE(eventually([] { return count("policy") == 2; })) << read(log_file);

        // The log is opened anew.
        fs::rename(log_file, log_file + ".elsewhere");
        ::kill(guard.pid(), SIGHUP);
        ASSERT_TRUE(eventually([] { return fs::exists(log_file); }));
        EXPECT_EQ(next.make("one/b"), EACCES);
        EXPECT_TRUE(eventually([] { return count("policy") == 1; })) << read(log_file);
        EXPECT_EQ(count("policy", log_file + ".elsewhere"), 2U);
    }
    // What is in force is left alone, whatever the files say by now.
    std::ofstream(policies + "/good.toml") << policy_of("maker", "two");
    {
        Guard guard;
        EXPECT_EQ(generation(), 1U);
        EXPECT_EQ(count("policy_refused"), 0U);
        Maker next("maker");
        EXPECT_EQ(next.make("one/c"), EACCES);
        EXPECT_EQ(next.make("two/c"), 0);
    }
    EXPECT_TRUE(enforce::PolicyForce::adopt().value().remove());
    EXPECT_TRUE(eventually([&] { return links() == links_before; })) << "the control";
    {  // Nothing of it is kept by the one that has put it in force.
        Guard guard;
        EXPECT_EQ(generation(), 1U);
        EXPECT_GT(links(), links_before);
        EXPECT_TRUE(enforce::PolicyForce::adopt().value().remove());
        EXPECT_TRUE(eventually([&] { return links() == links_before; })) << links();
    }
    fs::remove_all(place);
}

}  // namespace
}  // namespace bpfwarden::test
