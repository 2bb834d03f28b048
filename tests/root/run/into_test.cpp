// SPDX-License-Identifier: Apache-2.0
// `run --into PID`: a token for a process that runs already, in a user namespace that somebody else made.
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "refusal.hpp"
#include "tracer.hpp"

namespace bpfwarden::test {
namespace {

constexpr std::uint32_t bpffs_magic = 0xcafe4a11;

// A shell in a user namespace of 65536 ids and a mount namespace, as a container runtime starts one.
class Container {
  public:
    Container() {
        int up[2], down[2];
        EXPECT_EQ(::pipe2(up, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(down, O_CLOEXEC), 0);
        shell_ = std::make_unique<Running>(Start{.argv = {"/bin/sh"}, .in_child = [&] {
                                                     char byte = 0;
                                                     if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(1);
                                                     (void)!::write(up[1], &byte, 1);
                                                     ::close(down[1]);
                                                     (void)!::read(down[0], &byte, 1);
                                                     if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
                                                         ::_exit(2);
                                                 }});
        char byte = 0;
        ::close(up[1]);
        EXPECT_EQ(::read(up[0], &byte, 1), 1);
        const std::string proc = "/proc/" + std::to_string(pid());
        for (const char* map : {"/uid_map", "/gid_map"}) std::ofstream(proc + map) << "0 100000 65536";
        ::close(down[1]);  // go
        ::close(up[0]);
        ::close(down[0]);
        EXPECT_EQ(say("echo ready"), "ready");
    }

    pid_t pid() const { return shell_->pid(); }
    // One line of output of one command.
    std::string say(const std::string& command) {
        shell_->write(command + "\n");
        return shell_->read_line();
    }
    std::string token() { return say("/run/stage/witness token"); }

  private:
    std::unique_ptr<Running> shell_;
};

Words into(pid_t pid, const Words& options = {}) {
    Words argv{Stage::tool, "run", "--grant", plain_grant(), "--into", std::to_string(pid)};
    argv.insert(argv.end(), options.begin(), options.end());
    return argv;
}

TEST(Into, AContainerGetsItsToken) {
    BW_NEED_TOKENS();
    Container container;
    const auto before = container.token();
    EXPECT_TRUE(before.starts_with("token=E")) << "control: none so far, " << before;
    const auto given = run(into(container.pid()));
    EXPECT_TRUE(given.exited(0)) << given.text();
    EXPECT_EQ(given.out + given.err, "");
    const auto expected = run(under(plain_grant(), {Stage::witness, "token"})).out;
    EXPECT_EQ(container.token() + "\n", expected) << "exactly the grant's masks";
    EXPECT_EQ(container.say("/run/stage/witness make-map"), "ok");
    EXPECT_EQ(container.say("stat -c '%u %g %a' /sys/fs/bpf"), "0 0 1700") << "it belongs to the container's root";
}

TEST(Into, OneContainersTokenIsNotAnothers) {
    BW_NEED_TOKENS();
    Container one, other;
    ASSERT_TRUE(run(into(one.pid())).exited(0));
    EXPECT_FALSE(one.token().starts_with("token=E"));
    EXPECT_TRUE(other.token().starts_with("token=E"));
    EXPECT_NE(run({Stage::witness, "token"}).out, one.token() + "\n") << "nor the host's";
}

TEST(Into, DryRunChangesNothing) {
    BW_NEED_TOKENS();
    Container container;
    const auto told = run(into(container.pid(), {"--dry-run"}));
    EXPECT_TRUE(told.exited(0)) << told.text();
    EXPECT_NE(told.out.find("delegate_maps"), std::string::npos) << told.text();
    EXPECT_TRUE(container.token().starts_with("token=E"));
}

TEST(Into, ThePathIsLookedUpInTheProcessesRoot) {
    BW_NEED_TOKENS();
    ASSERT_EQ(::system("mkdir -p /run/stage/jail/sys/fs/bpf"), 0);
    ASSERT_EQ(::chown("/run/stage/jail", 100000, 100000), 0);
    // Stays in C++: there is no shell in the jail.
    int ready[2], end[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(end, O_CLOEXEC), 0);
    Running jailed({.argv = {"/none"}, .in_child = [&] {
                        char byte = 0;
                        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || ::chroot("/run/stage/jail") != 0 ||
                            ::chdir("/") != 0)
                            ::_exit(1);
                        (void)!::write(ready[1], &byte, 1);
                        ::close(end[1]);
                        (void)!::read(end[0], &byte, 1);
                        ::_exit(0);
                    }});
    char byte;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    const std::string proc = "/proc/" + std::to_string(jailed.pid());
    // The process is still uid 0 of the host, so that must be mapped: it owns the bpffs.
    for (const char* map : {"/uid_map", "/gid_map"}) std::ofstream(proc + map) << "0 0 1";
    const auto given = run(into(jailed.pid()));
    EXPECT_TRUE(given.exited(0)) << given.text();
    struct statfs info{};
    ASSERT_EQ(::statfs((proc + "/root/sys/fs/bpf").c_str(), &info), 0);
    EXPECT_EQ(static_cast<std::uint32_t>(info.f_type), bpffs_magic);
    std::ifstream mounts(proc + "/mountinfo");
    const std::string all{std::istreambuf_iterator<char>(mounts), {}};
    EXPECT_NE(all.find(" /sys/fs/bpf "), std::string::npos) << "as it sees it itself:\n" << all;
    ::close(end[1]);
    for (const int fd : {ready[0], ready[1], end[0]}) ::close(fd);
}

TEST(Into, WhatIsPlantedAtThePathIsNotFollowed) {
    BW_NEED_TOKENS();
    ASSERT_EQ(
        ::system(
            "cd /run/stage && mkdir -p spot real dir/below && touch file && ln -sfn real link && ln -sfn dir dirlink"),
        0);
    Container container;
    const auto at = [&](const std::string& path) { return run(into(container.pid(), {"--token-path", path})); };
    EXPECT_TRUE(at("/run/stage/spot").exited(0)) << "control: a plain directory";
    expect_refused(at("/run/stage/link"), "symbolic link");
    expect_refused(at("/run/stage/dirlink/below"), "symbolic link");
    expect_refused(at("/run/stage/file"), "/run/stage/file");
    expect_refused(at("/run/stage/missing"), "/run/stage/missing");
    struct statfs info{};
    ASSERT_EQ(::statfs(("/proc/" + std::to_string(container.pid()) + "/root/run/stage/real").c_str(), &info), 0);
    EXPECT_NE(static_cast<std::uint32_t>(info.f_type), bpffs_magic);
}

TEST(Into, ProcessesThatCannotHaveOne) {
    BW_NEED_TOKENS();
    expect_refused(run(into(::getpid())), "initial user namespace");
    // A process that has been reaped, and one that has not.
    pid_t gone = 0;
    {
        Running brief({.argv = {Stage::witness, "exit", "0"}});
        gone = brief.pid();
        brief.wait();
    }
    expect_refused(run(into(gone)), std::to_string(gone));
    const pid_t zombie = ::fork();
    if (zombie == 0) ::_exit(0);
    ASSERT_TRUE(eventually([&] {
        std::ifstream stat("/proc/" + std::to_string(zombie) + "/stat");
        return std::string{std::istreambuf_iterator<char>(stat), {}}.contains(") Z ");
    }));
    expect_refused(run(into(zombie)), "ended", 1);
    ::waitpid(zombie, nullptr, 0);
    // Numbers that would only fit by being cut off.
    expect_refused(run({Stage::tool, "run", "--grant", plain_grant(), "--into", "4294967297"}), "4294967297");
}

// Between the look at its namespaces and the step into them, the process goes elsewhere.
TEST(Into, AProcessThatChangesItsNamespacesMeanwhile) {
    BW_NEED_TOKENS();
    if (!tracer_works()) GTEST_SKIP() << "system calls can be stopped at on x86-64 only";
    const auto attempt_with = [](int change) {
        int orders[2], done[2];
        EXPECT_EQ(::pipe2(orders, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(done, O_CLOEXEC), 0);
        Running target({.argv = {"/none"}, .in_child = [&] {
                            char byte = 0;
                            if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(1);
                            (void)!::write(done[1], &byte, 1);
                            while (::read(orders[0], &byte, 1) == 1) {
                                if (change != 0 && ::unshare(change) != 0) ::_exit(2);
                                (void)!::write(done[1], &byte, 1);
                            }
                            ::_exit(0);
                        }});
        char byte = 0;
        EXPECT_EQ(::read(done[0], &byte, 1), 1);
        const std::string proc = "/proc/" + std::to_string(target.pid());
        for (const char* map : {"/uid_map", "/gid_map"}) std::ofstream(proc + map) << "0 0 1";
        bool reached = false;
        // The tracer waits for all children, and the target is one: it must not get to know of it.
        const pid_t tool = ::fork();
        if (tool == 0) {
            const auto traced = trace(into(target.pid()), [&](const Call& call) -> Verdict {
                if (call.name() == "setns" && !reached) {
                    reached = true;
                    (void)!::write(orders[1], &byte, 1);
                    (void)!::read(done[0], &byte, 1);
                }
                return {};
            });
            (void)!::write(2, traced.ended.err.data(), traced.ended.err.size());
            if (!reached) ::_exit(99);
            ::_exit(traced.ended.exited(125) && traced.ended.err.contains("changed its namespaces") ? 1
                    : traced.ended.exited(0)                                                        ? 0
                                                                                                    : 98);
        }
        int status = 0;
        ::waitpid(tool, &status, 0);
        for (const int fd : {orders[0], orders[1], done[0], done[1]}) ::close(fd);
        return WEXITSTATUS(status);
    };
    EXPECT_EQ(attempt_with(0), 0) << "control: it stays where it is";
    EXPECT_EQ(attempt_with(CLONE_NEWNS), 1);
    EXPECT_EQ(attempt_with(CLONE_NEWUSER | CLONE_NEWNS), 1);
}

}  // namespace
}  // namespace bpfwarden::test
