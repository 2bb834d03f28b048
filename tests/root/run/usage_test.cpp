// SPDX-License-Identifier: Apache-2.0
// What `run` refuses before the command starts, each beside what it accepts. A refusal is status 125, and on stderr
// what failed, why, and what to do.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/stat.h>

#include "refusal.hpp"

namespace bpfwarden::test {
namespace {

TEST(Refuses, AKernelWithoutTokens) {
    if (kernel_has_tokens()) GTEST_SKIP() << "this kernel has BPF tokens, so there is nothing to refuse";
    const auto ended = attempt(plain_grant());
    EXPECT_TRUE(ended.exited(125)) << ended.text();
    EXPECT_EQ(ended.out, "");
    EXPECT_TRUE(ended.err.starts_with("bpfwarden run: this kernel has no BPF token (needs 6.9)\n")) << ended.err;
    EXPECT_EQ(lines_of(ended.err), 3) << "what, why, what to do: " << ended.err;
    EXPECT_FALSE(command_ran());
}

TEST(Refuses, GrantsThatAreNotThere) {
    BW_NEED_TOKENS();
    expect_refused(attempt("/run/stage/grants/none.toml"), "none.toml");
    expect_refused(attempt("/run/stage"), "/run/stage");
    EXPECT_TRUE(attempt("").exited(125));
    expect_refused(run({Stage::tool, "run", "--", Stage::witness, "touch", started}), "no grant");
    expect_accepted(attempt(plain_grant()));
}

TEST(Refuses, GrantsThatAreWrong) {
    BW_NEED_TOKENS();
    const auto bad = [](const GrantText& text, const std::string& expected) {
        expect_refused(attempt(write_grant(text)), expected);
    };
    bad({.rest = "[allows]\n"}, "allows");
    bad({.allow = "progam_types = [\"xdp\"]\n"}, "program_types");  // did you mean
    bad({.allow = "program_types = [\"xdpp\"]\n"}, "xdp");
    bad({.allow = "program_types = \"xdp\"\n"}, "program_types");
    bad({.allow = "program_types = [\"xdp\"\n"}, "");
    bad({.allow = "capabilities = [\"bpff\"]\n"}, "bpf");
    bad({.top = "include = [\"nowhere.toml\"]\n"}, "nowhere");
    bad({.allow = "", .open = ""}, "delegate");  // nothing to give
    expect_refused(attempt(write_file("empty.toml", "")), "");
    expect_refused(attempt(write_file("binary.toml", std::string("\0\1\2\xff", 4))), "");
    expect_accepted(attempt(write_grant({})));
}

TEST(Refuses, PowerThatIsNotAcknowledged) {
    BW_NEED_TOKENS();
    const auto with = [](const char* acknowledged, const char* allow) {
        return attempt(
            write_grant({.top = std::string("subject = [ { uid = TEST_USER } ]\ndangerous = [") + acknowledged + "]\n",
                         .allow = allow}));
    };
    const struct {
        const char *danger, *allow;
    } cases[] = {
        {"\"kernel_read\", \"kernel_write\", \"user_memory_write\", \"send_signal\"", "program_types = [\"kprobe\"]\n"},
        {"\"kernel_read\", \"user_memory_write\", \"send_signal\"",
         "program_types = [\"tracing\"]\nattach_types = [\"trace_fentry\"]\n"},
        {"\"kernel_read\"", "map_types = [\"array\"]\ncapabilities = [\"perfmon\"]\n"},
        {"\"struct_ops\"", "program_types = [\"struct_ops\"]\n"},
        {"\"ext\"", "program_types = [\"ext\"]\n"},
        {"\"namespace_admin\", \"kernel_read\"", "map_types = [\"array\"]\ncapabilities = [\"sys_admin\"]\n"},
    };
    for (const auto& one : sampled(cases, 4)) {
        SCOPED_TRACE(one.allow);
        expect_refused(with("", one.allow), "dangerous");
        // Tracing programs attach anywhere, which a token does not hold: that is another matter than this one.
        const auto granted = attempt(
            write_grant({.top = std::string("subject = [ { uid = TEST_USER } ]\ndangerous = [") + one.danger + "]\n",
                         .allow = one.allow}),
            {"--unenforced", "targets.functions,attach_types"});
        expect_accepted(granted);
    }
}

TEST(Refuses, UsersWhoseGrantItIsNot) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    const auto as = [](const std::string& top, const Words& options) {
        return attempt(write_grant({.top = top}), options);
    };
    const std::string one = "subject = [ { uid = TEST_USER } ]\n", uid = std::to_string(test_user());

    expect_refused(as("", {"--user", uid}), "root only");
    expect_accepted(as("", {}));
    expect_refused(as(one, {"--user", "nobody"}), "nobody");
    expect_refused(as(one, {"--user", "12345"}), "12345");
    expect_accepted(as(one, {"--user", uid}));
    expect_refused(as("subject = [ { uid = 1 }, { uid = 2 } ]\n", {}), "--user");
    expect_accepted(as("subject = [ { uid = 1 }, { uid = TEST_USER } ]\n", {"--user", uid}));
    expect_refused(as("subject = [ { group = \"nosuchgroup\" } ]\n", {"--user", uid}), "nosuchgroup");
    expect_refused(as("subject = [ { uid = TEST_USER, exe = \"/usr/bin/other\" } ]\n", {}), "exe");
    expect_accepted(as("subject = [ { uid = TEST_USER, exe = \"/run/stage/*\" } ]\n", {"--user", uid}));
    expect_refused(as("subject = [ { uid = TEST_USER, cgroup = \"/none.slice\" } ]\n", {"--user", uid}), "cgroup");
    expect_refused(
        as("subject = [ { uid = TEST_USER, exe_sha256 = \"" + std::string(64, '0') + "\" } ]\n", {"--user", uid}),
        "exe_sha256");
    expect_refused(as(one, {"--user", "no-such-user"}), "no-such-user");
    expect_refused(as(one, {"--user", "4294967295"}), "4294967295");
    expect_refused(as(one, {"--user", uid + ":no-such-group"}), "no-such-group");
}

TEST(Refuses, CallersWhoAreNotRoot) {
    BW_NEED_TOKENS();
    const auto as = [](uid_t uid) {
        return run(Start{.argv = under(plain_grant(), {Stage::witness, "touch", started}), .in_child = [uid] {
                             (void)!::setgroups(0, nullptr);
                             (void)!::setresgid(uid, uid, uid);
                             (void)!::setresuid(uid, uid, uid);
                         }});
    };
    expect_refused(as(test_user()), "root");
    expect_accepted(as(0));
}

TEST(Refuses, OptionsThatMeanNothing) {
    BW_NEED_TOKENS();
    const struct {
        Words options;
        const char* expected;
    } cases[] = {
        {{"--net", "host"}, "private"},
        {{"--via", "broker"}, "--via"},
        {{"--keep-fd", "x"}, "--keep-fd"},
        {{"--keep-fd", "2"}, "--keep-fd"},
        {{"--keep-fd", "77"}, "77"},
        {{"--keep-fd", "99999999999999999999"}, "--keep-fd"},
        {{"--token-path", "relative"}, "--token-path"},
        {{"--token-path", "/run/../etc"}, "--token-path"},
        {{"--token-path", "/run/stage/.."}, "--token-path"},
        {{"--token-path", "/" + std::string(5000, 'x')}, "--token-path"},
        {{"--token-path", "/run/stage/none"}, "none"},
        {{"--token-path", "/run/stage/witness"}, "witness"},
        {{"--no-such-option"}, "--no-such-option"},
    };
    for (const auto& one : sampled(cases, 4)) {
        SCOPED_TRACE(one.options.front() + " " + one.options.back());
        expect_refused(attempt(plain_grant(), one.options), one.expected);
    }
    const auto no_command = run({Stage::tool, "run", "--grant", plain_grant()});
    expect_refused(no_command, "command");
    expect_accepted(attempt(plain_grant(), {"--net", "private", "--via", "token"}));
}

TEST(Refuses, TheCallersNetworkUnlessAcknowledged) {
    BW_NEED_TOKENS();
    const std::string acknowledged =
        write_grant({.top = "subject = [ { uid = TEST_USER } ]\ndangerous = [\"host_network\"]\n"});
    // In a network namespace of the test's own, for whatever comes of it.
    const auto inherit = [](const std::string& grant) {
        return run(Start{.argv = under(grant, {Stage::witness, "touch", started}, {"--net", "inherit"}),
                         .in_child = [] { ASSERT_EQ(::unshare(CLONE_NEWNET), 0); }});
    };
    expect_refused(inherit(plain_grant()), "host_network");
    expect_accepted(inherit(acknowledged));
    // Programs that do not act on a network need no word about it.
    expect_accepted(inherit(contained_grant()));
}

TEST(Refuses, IntoWithWhatIsOnlyForANewCommand) {
    BW_NEED_TOKENS();
    const auto into = [](const Words& more) {
        Words argv{Stage::tool, "run", "--grant", plain_grant(), "--into", "1"};
        argv.insert(argv.end(), more.begin(), more.end());
        return run(argv);
    };
    expect_refused(into({"--", Stage::witness, "touch", started}), "--into");
    expect_refused(into({"--user", "0"}), "--user");
    expect_refused(into({"--net", "private"}), "--net");
    expect_refused(into({"--keep-fd", "3"}), "--keep-fd");
    for (const char* pid : {"0", "-1", "x", "99999999999"}) {
        const Words argv{Stage::tool, "run", "--grant", plain_grant(), "--into", pid};
        expect_refused(run(argv), "");
    }
}

// Descriptors that lead around the containment.
TEST(Refuses, DescriptorsOfTargetsUnderAContainedGrant) {
    BW_NEED_TOKENS();
    const auto with_fd = [](const std::string& grant, const char* path, int flags, int fd) {
        const Words options = fd > 2 ? Words{"--keep-fd", std::to_string(fd)} : Words{};
        return run(Start{.argv = under(grant, {Stage::witness, "touch", started}, options),
                         .in_child = [=] { ::dup2(::open(path, flags | O_CLOEXEC), fd); }});
    };
    const std::string events = Stage::cgroup() + "/cgroup.events";
    const struct {
        const char* path;
        int flags, fd;
    } cases[] = {
        {"/", O_RDONLY | O_DIRECTORY, 7},
        {"/", O_PATH | O_DIRECTORY, 7},
        {"/", O_RDONLY | O_DIRECTORY, 0},
        {"/proc/self/ns/net", O_RDONLY, 7},
        {events.c_str(), O_RDONLY, 7},
        {events.c_str(), O_PATH, 7},
        {Stage::cgroup().c_str(), O_RDONLY | O_DIRECTORY, 7},
    };
    for (const auto& one : sampled(cases, 4)) {
        SCOPED_TRACE(one.path);
        expect_refused(with_fd(contained_grant(), one.path, one.flags, one.fd), "descriptor");
        expect_accepted(with_fd(plain_grant(), one.path, one.flags, one.fd));
    }
    expect_accepted(with_fd(contained_grant(), "/dev/null", O_RDONLY, 7));
}

// The message must not take the status with it.
TEST(Refuses, EvenWhenNobodyCanReadWhy) {
    BW_NEED_TOKENS();
    const auto with_stderr = [](const std::string& grant, const std::function<void()>& in_child) {
        return run(Start{.argv = under(grant, {Stage::witness, "touch", started}), .in_child = in_child});
    };
    const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), 2); };
    const auto closed = [] { ::close(2); };
    const std::string refused = write_grant({.rest = "[limits]\nprograms = 1\n"});
    for (const auto& in_child : {std::function<void()>(full), std::function<void()>(closed)}) {
        EXPECT_TRUE(with_stderr(refused, in_child).exited(125));
        EXPECT_FALSE(command_ran());
        EXPECT_TRUE(with_stderr(plain_grant(), in_child).exited(0)) << "control";
        EXPECT_TRUE(command_ran());
    }
}

}  // namespace
}  // namespace bpfwarden::test
