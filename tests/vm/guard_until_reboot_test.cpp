// SPDX-License-Identifier: Apache-2.0
// A seal that nobody ends but a start of the machine: the last program that a guest runs.
#include <bpf/bpf.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "vm/guard_daemon.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

class GuardUntilReboot : public GuardGuest {
  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
    }
    void TearDown() override {}
};

TEST_F(GuardUntilReboot, NobodyChangesOrEndsIt) {
    fs::remove_all(place + "log");
    expect_in_force();
    ASSERT_EQ(run({"policy", "apply", new_policy}).status, 0);
    ASSERT_EQ(run({"policy", "rollback"}).status, 0) << "control: it can be changed";
    Daemon guard;
    seal({});
    EXPECT_EQ(status()["updater"], "reboot-only");
    expect_in_force();
    const auto things = sealed_things();
    const Words commands[] = {{"guard", "unseal"},
                              {"guard", "protect", "--id", "prog:1"},
                              {"policy", "apply", new_policy},
                              {"policy", "rollback"},
                              {"policy", "confirm"},
                              {"policy", "status"},
                              {"policy", "remove"}};
    for (const auto* program : {&tool, &updater})
        for (const auto& words : commands) {
            SCOPED_TRACE(*program + " " + words[0] + " " + words[1]);
            const auto ran = run(words, {}, *program);
            EXPECT_EQ(ran.status, 4) << ran;
            expect_three_parts(ran);
        }
    EXPECT_EQ(run({"guard", "seal"}).status, 1);
    EXPECT_EQ(run({"guard", "seal", "--updater", "cap:mac_admin"}).status, 1);
    EXPECT_EQ(sealed_things(), things);
    EXPECT_EQ(status()["updater"], "reboot-only");
    expect_in_force();

    // The guard that was there goes on, and is ended by nobody: refusals, attempts.
    EXPECT_TRUE(eventually([] { return !logged("policy").empty(); })) << guard.said();
    const std::uint64_t attempts = status()["attempts"];
    EXPECT_TRUE(eventually([&] { return logged("tamper").size() >= attempts; })) << logged("tamper").size();
    EXPECT_EQ(::kill(guard.pid(), SIGKILL), -1);
    EXPECT_EQ(::kill(guard.pid(), SIGTERM), -1);
    EXPECT_TRUE(guard.runs());

    {  // Another, which the seal does not know: it says so, once, and goes on; whatever it would be woken for.
        const auto before = logged("policy").size();
        Daemon other(place + "run");
        EXPECT_TRUE(other.said().contains("a sealed policy is in force\n")) << other.said();
        fs::create_directories(place + "mounted");
        for (int i = 0; i < 5; ++i) {
            EXPECT_EQ(::mount("t", (place + "mounted").c_str(), "tmpfs", 0, nullptr), 0);
            ::usleep(500'000);  // it looks each second
            EXPECT_EQ(::umount((place + "mounted").c_str()), 0);
        }
        EXPECT_TRUE(other.runs());
        const auto said = other.said(), once = std::string("is sealed, and its events are not for this process");
        const auto at = said.find(once);
        EXPECT_NE(at, said.npos) << said;
        EXPECT_EQ(said.find(once, at + 1), said.npos) << said;
        EXPECT_EQ(std::ranges::count(said, '\n'), 4) << "that, and what is in force\n" << said;
        EXPECT_EQ(logged("policy_refused").size(), 0U);
        EXPECT_TRUE(decides("one"));
        EXPECT_TRUE(eventually([&] { return logged("policy").size() > before; })) << "the first one still reads them";
        EXPECT_EQ(other.end(SIGTERM), 0);
    }
    guard.leave();
    expect_in_force();
}

}  // namespace
}  // namespace bpfwarden::test
