// SPDX-License-Identifier: Apache-2.0
// `bpfwarden session supervise`: the listeners that container runtimes send.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "supervised.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

// A directory of the user's, and the command that listens in it.
class Contained : public ::testing::Test {
  protected:
    Contained() {
        fs::create_directory(folder_);
        (void)!::chown(folder_.c_str(), test_user(), test_user());
    }
    Start supervise(const Words& options = {}) const {
        auto start = supervised_command(test_user(), "filters", {});
        Words argv{start.argv.front(), "session", "supervise", "--grant", "filters"};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.push_back(path_);
        start.argv = std::move(argv);
        return start;
    }
    bool listens() const {
        return eventually([&] { return fs::is_socket(path_); });
    }

    Daemon daemon_{{{"filters", filter_rights}}};
    const std::string folder_ = daemon_.directory() + "/runtime", path_ = folder_ + "/listener";
};

TEST_F(Contained, HasTheGrantAndNothingElse) {
    Running command(supervise({"--once"}));
    ASSERT_TRUE(listens());
    EXPECT_EQ(act_of_user(daemon_, {"contained", path_}), "ok EPERM ok");
    const auto ended = command.wait();
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_EQ(daemon_.audit({"map_create hash", "refused"}).size(), 1U);
}

// The control: a listener that nobody answers for.
TEST_F(Contained, WithoutASupervisorItFails) { EXPECT_EQ(act_of_user(daemon_, {"contained", path_}), "send ENOENT"); }

TEST_F(Contained, OneSessionForAllAndWhatIsNoListenerIsSaid) {
    Running command(supervise());
    ASSERT_TRUE(listens());
    EXPECT_EQ(act_of_user(daemon_, {"contained", path_}), "ok EPERM ok");
    // Its listener is closed, so its calls fail, and the command goes on.
    EXPECT_EQ(act_of_user(daemon_, {"contained", path_, R"({"fds":["other"]})"}).substr(0, 6), "ENOSYS");
    EXPECT_EQ(act_of_user(daemon_, {"contained", path_, "{"}).substr(0, 6), "ENOSYS");
    EXPECT_EQ(act_of_user(daemon_, {"contained", path_}), "ok EPERM ok");
    EXPECT_EQ(daemon_.sessions().size(), 1U);
    ::kill(command.pid(), SIGTERM);
    const auto ended = command.wait();
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    EXPECT_NE(ended.err.find("no listener came"), std::string::npos) << ended.text();
    EXPECT_NE(ended.err.find("no container process state"), std::string::npos) << ended.text();
    EXPECT_FALSE(fs::exists(path_));
}

TEST_F(Contained, EndsWithItsSession) {
    Running command(supervise());
    ASSERT_TRUE(listens());
    ASSERT_EQ(act_of_user(daemon_, {"contained", path_}), "ok EPERM ok");
    EXPECT_EQ(daemon_.tool({"session", "revoke", daemon_.sessions().at(0)}).status, 0);
    const auto ended = command.wait();
    EXPECT_TRUE(ended.exited(1)) << ended.text();
    EXPECT_FALSE(fs::exists(path_));
}

}  // namespace
}  // namespace bpfwarden::test
