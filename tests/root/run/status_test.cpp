// SPDX-License-Identifier: Apache-2.0
// `run` is transparent: the command's exit status, signals, streams, arguments and environment are as without it.
#include <signal.h>

#include <cstdlib>
#include <numeric>
#include <random>

#include "stage.hpp"

namespace bpfwarden::test {
namespace {

std::vector<int> statuses() {
    if (emulated()) return {0, 1, 125, 127, 128, 255};
    std::vector<int> all(256);
    std::iota(all.begin(), all.end(), 0);
    return all;
}

TEST(Status, TheCommandsExitStatusPassesThrough) {
    BW_NEED_TOKENS();
    BW_IN_ONE_GUEST("edge");
    for (const int status : statuses()) {
        const auto ended = run(under(plain_grant(), {Stage::witness, "exit", std::to_string(status)}));
        ASSERT_TRUE(ended.exited(status)) << "expected " << status << ", got " << ended.text();
        ASSERT_EQ(ended.out + ended.err, "");
    }
}

TEST(Status, ACommandThatDiesOfASignalIsSeenToDieOfIt) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL, SIGUSR1, SIGSEGV, SIGPIPE, SIGTERM, SIGALRM}) {
        const Words command{Stage::witness, "die", std::to_string(signal)};
        const auto ended = run(under(plain_grant(), command));
        EXPECT_TRUE(ended.died_of(signal)) << "expected signal " << signal << ", got " << ended.text();
        EXPECT_TRUE(run(command).died_of(signal)) << "control: without run";
    }
}

TEST(Status, AShellSeesASignalAs128AndItsNumber) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    const auto ended = run({"sh", "-c", "\"$@\"; echo $?", "sh", Stage::tool, "run", "--grant", plain_grant(), "--",
                            Stage::witness, "die", std::to_string(SIGTERM)});
    EXPECT_TRUE(ended.out.ends_with("143\n")) << ended.text();
}

TEST(Status, OwnFailuresAre125And126And127) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    const std::string plain_file = write_file("not-a-program", "x");
    const auto status_of = [](const std::string& command) {
        // Not the test's own PATH: one folder that the user may not look into makes a 126 of a 127, as with env(1).
        const auto ended =
            run(Start{.argv = under(plain_grant(), {command}), .environment = Words{"PATH=/usr/bin:/bin"}});
        EXPECT_EQ(ended.out, "");
        EXPECT_TRUE(ended.err.starts_with("bpfwarden run: cannot run " + command + "\n  ")) << ended.text();
        return ended.status;
    };
    EXPECT_EQ(WEXITSTATUS(status_of("/run/stage/none")), 127);
    EXPECT_EQ(WEXITSTATUS(status_of("no-such-command-on-the-path")), 127);
    EXPECT_EQ(WEXITSTATUS(status_of("")), 127);
    EXPECT_EQ(WEXITSTATUS(status_of(plain_file)), 126);
    EXPECT_EQ(WEXITSTATUS(status_of("/run/stage")), 126) << "a directory";
    EXPECT_TRUE(run(under("/run/stage/none.toml", {Stage::witness, "exit", "0"})).exited(125));
    EXPECT_TRUE(run(under(plain_grant(), {Stage::witness, "exit", "0"})).exited(0)) << "control";
}

// execvp(3) is what env(1) uses, so a script without #! is the shell's.
TEST(Status, ACommandIsFoundAsEnvFindsIt) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    const std::string script = write_file("script", "echo from a script, $1\nexit 3\n");
    ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
    for (const auto& [path, command] :
         {std::pair{"PATH=/bin:/usr/bin", script}, {"PATH=/run/stage/grants", {"script"}}}) {
        const Words environment{path};
        const Start with{.argv = under(plain_grant(), {command, "yes"}), .environment = environment};
        const auto ended = run(with);
        EXPECT_TRUE(ended.exited(3)) << ended.text();
        EXPECT_EQ(ended.out, "from a script, yes\n");
    }
}

TEST(Streams, BytesPassThroughUntouchedAndNothingIsAdded) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    std::mt19937 random(1);
    std::string bytes(1 << 20, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    for (const auto& grant : {plain_grant(), contained_grant()}) {
        const auto ended = run(Start{.argv = under(grant, {Stage::witness, "copy"})}, bytes);
        EXPECT_TRUE(ended.exited(0));
        EXPECT_TRUE(ended.out == bytes) << ended.out.size() << " bytes came out";
        EXPECT_EQ(ended.err, std::string("\0end\xff", 5));
    }
}

TEST(Streams, ClosedOnesStayClosed) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    for (const auto& grant : {plain_grant(), contained_grant()}) {
        const Start no_input{.argv = under(grant, {Stage::witness, "report"}),
                             .in_child = [] { ::close(0), ::close(2); }};
        EXPECT_EQ(read_report(run(no_input).out)["fds"], "1");
        const Start none{.argv = under(grant, {Stage::witness, "exit", "42"}),
                         .in_child = [] { ::close(0), ::close(1), ::close(2); }};
        EXPECT_TRUE(run(none).exited(42));
    }
}

TEST(Arguments, ArePassedExactly) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    const Words odd{"",
                    " ",
                    "two words",
                    "new\nline",
                    "\x01\x7f\xff\xfe",
                    "--",
                    "--grant",
                    "--keep-fd",
                    "-h",
                    "--help",
                    "--version",
                    "--json",
                    "'\"`$()",
                    "%s%n",
                    "*",
                    "--user",
                    "0",
                    "\\",
                    std::string(100'000, 'x'),
                    ""};
    Words command{Stage::witness, "arguments"};
    command.insert(command.end(), odd.begin(), odd.end());
    const auto without = run(command);
    ASSERT_TRUE(without.exited(0));
    EXPECT_EQ(run(under(plain_grant(), command)).out, without.out);

    Words bare{Stage::tool, "run", "--grant", plain_grant()};  // without --
    bare.insert(bare.end(), command.begin(), command.end());
    EXPECT_EQ(run(bare).out, without.out);

    Words joined{Stage::tool, "run", "--grant=" + plain_grant()};
    joined.insert(joined.end(), command.begin(), command.end());
    EXPECT_EQ(run(joined).out, without.out);
}

TEST(Environment, IsUnchanged) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    const Words odd{"PATH=/usr/bin:/bin",
                    "EMPTY=",
                    "LINES=a\nb",
                    "no equals sign",
                    "=C:=x",
                    "TWICE=1",
                    "TWICE=2",
                    "LD_LIBRARY_PATH=",
                    "IFS= \t",
                    "BYTES=\xff\x01",
                    "TMPDIR=/nowhere",
                    "LANG=xx_YY",
                    "LIBBPF_LOG_LEVEL=warn"};
    const auto environment_of = [&](const Words& argv, const Words& environment) {
        return run(Start{.argv = argv, .environment = environment}).out;
    };
    const Words command{Stage::witness, "environment"};
    const auto without = environment_of(command, odd);
    for (const auto& grant : {plain_grant(), contained_grant()})
        EXPECT_EQ(environment_of(under(grant, command), odd), without);
    EXPECT_EQ(environment_of(under(plain_grant(), command), {}), "") << "and an empty one stays empty";

    Words stale = odd;
    stale.push_back("LIBBPF_BPF_TOKEN_PATH=/of/the/caller");
    EXPECT_EQ(environment_of(under(plain_grant(), command), stale), environment_of(command, stale))
        << "the caller's own setting is the caller's";
}

TEST(Environment, TokenPathAddsOneVariable) {
    BW_NEED_TOKENS();
    BW_IN_ONE_GUEST("edge");
    ASSERT_EQ(::system("mkdir -p /run/stage/token"), 0);
    const Words command{Stage::witness, "environment"};
    const auto with = [&](const Words& environment) {
        return run(Start{.argv = under(plain_grant(), command, {"--token-path", "/run/stage/token"}),
                         .environment = environment})
            .out;
    };
    const std::string added("LIBBPF_BPF_TOKEN_PATH=/run/stage/token\0", 39);
    EXPECT_EQ(with({"A=1"}), std::string("A=1\0", 4) + added);
    EXPECT_EQ(with({"LIBBPF_BPF_TOKEN_PATH=/old"}), added);
    EXPECT_EQ(run(under(plain_grant(), {Stage::witness, "token"}, {"--token-path", "/run/stage/token"})).out,
              run(under(plain_grant(), {Stage::witness, "token"})).out)
        << "and the token is to be had there";
}

}  // namespace
}  // namespace bpfwarden::test
