// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter …` as it is called: exit codes, what goes to stdout and what to stderr.
#include <gmock/gmock.h>
#include <pty.h>

#include <filesystem>
#include <fstream>

#include "unit/grant/program.hpp"

namespace bpfwarden {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

static const std::string profile = R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
 "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22,
               "args": [{"index": 0, "value": 131072, "op": "SCMP_CMP_EQ"}]}]})";

static std::string program_in_c(const std::string& body) {
    return "#include <bpfwarden/seccomp_filter.h>\nBPFW_FILTER int filter(struct seccomp_data *ctx)\n{\n" + body +
           "}\n";
}

class Filter : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!fs::exists(program())) GTEST_SKIP() << program() << " is not built";
        char name[] = "/tmp/bpfwarden-cli-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder_ = name;
        put("one.json", profile);
        put("other.json", std::string(profile).replace(profile.find("131072"), 6, "131073"));
        put("deny_exec.c", program_in_c("\treturn ctx->nr == 59 ? BPFW_ERRNO(1) : SECCOMP_RET_ALLOW;\n"));
        put("pointer.c",
            program_in_c("\tif (ctx->nr == 42)\n\t\treturn *(int *)ctx->args[1] == 2 ? SECCOMP_RET_ALLOW : "
                         "BPFW_ERRNO(1);\n\treturn SECCOMP_RET_ALLOW;\n"));
        put("broken.c", "int x\n");
        put("words", "these are words, no filter");
        put("odd", "odd");
        put("empty", "");
        ASSERT_EQ(run({"build", "one.json", "--output", "one.bpf"}).status, 0);
    }
    void TearDown() override {
        if (!folder_.empty()) fs::remove_all(folder_);
    }
    void put(const std::string& path, const std::string& text) { std::ofstream(folder_ / path) << text; }
    std::string get(const std::string& path) {
        std::ifstream file(folder_ / path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    Outcome run(std::vector<std::string> args, const std::string& input = "") {
        args.insert(args.begin(), "filter");
        return bpfwarden_run(std::move(args), input, folder_);
    }
    fs::path folder_;
};

TEST_F(Filter, BuildWritesWhatEveryOtherVerbReads) {
    const auto made = run({"build", "one.json", "--output", "again.bpf"});
    EXPECT_EQ(made.status, 0);
    EXPECT_EQ(made.out, "");
    EXPECT_THAT(made.err, HasSubstr("proven to be the source's function"));
    EXPECT_EQ(get("again.bpf"), get("one.bpf")) << "the same bytes every time";
    EXPECT_EQ(run({"build", "one.json"}).out, get("one.bpf"));
    EXPECT_EQ(run({"build", "-"}, profile).out, get("one.bpf"));
    EXPECT_EQ(run({"dump", "one.bpf", "--format", "raw"}).out, get("one.bpf"));
    EXPECT_THAT(run({"dump", "one.bpf"}).out, HasSubstr("ERRNO(EINVAL)"));
    EXPECT_THAT(run({"dump", "one.bpf", "--format", "c"}).out, HasSubstr("struct sock_filter"));
    EXPECT_THAT(run({"dump", "one.bpf", "--format", "dot"}).out, StartsWith("digraph"));
    EXPECT_THAT(run({"stats", "one.bpf"}).out, HasSubstr("x86_64"));
    EXPECT_EQ(run({"check", "one.bpf"}).status, 0);
}

TEST_F(Filter, OptionsMayComeBeforeAndAfterTheSource) {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"build", "--arch", "x86_64", "one.json", "--output", "x.bpf"},
             {"build", "one.json", "--output", "x.bpf", "--arch", "x86_64"},
             {"build", "--output=x.bpf", "--optimize", "uniform", "--arch=x86_64", "one.json"},
             {"build", "--arch", "x86_64", "--arch", "i386", "--effort", "quick", "one.json", "--output", "x.bpf"}}) {
        const auto made = run(words);
        EXPECT_EQ(made.status, 0) << made.err;
        EXPECT_TRUE(fs::remove(folder_ / "x.bpf"));
    }
}

TEST_F(Filter, BinaryIsNotForATerminal) {
    int master = -1;
    const pid_t child = ::forkpty(&master, nullptr, nullptr, nullptr);
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (::chdir(folder_.c_str()) == 0)
            ::execl(program().c_str(), "bpfwarden", "filter", "build", "one.json", nullptr);
        ::_exit(127);
    }
    std::string said;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(master, buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<size_t>(n));
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(master);
    EXPECT_EQ(WEXITSTATUS(status), 2);
    EXPECT_THAT(said, HasSubstr("standard output is a terminal"));
}

TEST_F(Filter, WhatIsNoFilterIsRefusedAndNothingIsLeft) {
    for (const std::string verb : {"build", "check", "dump", "stats"}) {
        EXPECT_EQ(run({verb, "none"}).status, 5) << verb;
        for (const std::string path : {"words", "odd", "empty", "/dev/zero", "/"}) {
            const auto got = run({verb, path});
            EXPECT_EQ(got.status, 6) << verb << " " << path;
            EXPECT_EQ(got.out, "");
            EXPECT_THAT(got.err, HasSubstr(path));
        }
        EXPECT_EQ(run({verb}).status, 2) << verb;
        EXPECT_EQ(run({verb, "one.bpf", "more"}).status, 2) << verb;
        EXPECT_EQ(run({verb, "one.json", "--arch", "vax"}).status, 2) << verb;
        EXPECT_EQ(run({verb, "one.json", "--kernel", "new"}).status, 2) << verb;
        EXPECT_EQ(run({verb, "one.json", "--bad-arch", "MAYBE"}).status, 2) << verb;
        EXPECT_EQ(run({verb, "one.json", "--map", "x"}).status, 2) << verb;
        EXPECT_EQ(run({verb, "one.json", "--bogus"}).status, 2) << verb;
    }
    EXPECT_EQ(run({"build", "words", "--output", "out.bpf"}).status, 6);
    EXPECT_FALSE(fs::exists(folder_ / "out.bpf"));
    put("kept", "kept");
    EXPECT_EQ(run({"build", "words", "--output", "kept"}).status, 6);
    EXPECT_EQ(get("kept"), "kept");
    EXPECT_NE(run({"build", "one.json", "--output", "no/such/folder"}).status, 0);
    EXPECT_NE(run({"build", "one.json", "--output", "/dev/full"}).status, 0);
    EXPECT_EQ(run({"build", "one.json", "--effort", "more"}).status, 2);
    EXPECT_EQ(run({"build", "one.json", "--optimize", "none"}).status, 5) << "a file of counts";
    EXPECT_EQ(run({"dump", "one.json", "--format", "pdf"}).status, 2);
}

TEST_F(Filter, ARefusedProgramIsToldByItsLineAndACall) {
    const auto refused = run({"build", "pointer.c", "--output", "out.bpf"});
    EXPECT_EQ(refused.status, 6);
    EXPECT_THAT(refused.err, HasSubstr("pointer.c:5: reads memory through a number"));
    EXPECT_THAT(refused.err, HasSubstr("return *(int *)ctx->args[1]"));
    EXPECT_THAT(refused.err, HasSubstr("nr 42"));
    EXPECT_FALSE(fs::exists(folder_ / "out.bpf"));
    const auto broken = run({"check", "broken.c"});
    EXPECT_EQ(broken.status, 6);
    EXPECT_THAT(broken.err, HasSubstr("broken.c:1:6: error"));
    EXPECT_THAT(broken.err, Not(HasSubstr("unable to remove")));
    EXPECT_THAT(run({"check", "none.c"}).err, HasSubstr("none.c"));
    EXPECT_EQ(run({"check", "deny_exec.c"}).status, 0);
}

TEST_F(Filter, ExplainShowsTheWayAndWhoDecides) {
    const auto denied = run({"explain", "one.bpf", "--on", "x86_64", "--syscall", "personality", "--args", "0x20000"});
    EXPECT_EQ(denied.status, 0);
    EXPECT_THAT(denied.out, StartsWith("one.bpf: ERRNO(EINVAL)\n"));
    EXPECT_THAT(denied.out, HasSubstr("args[0] low = 0x20000"));
    EXPECT_THAT(run({"explain", "one.bpf", "--on", "x86_64", "--syscall", "135"}).out, StartsWith("one.bpf: ALLOW\n"));
    const auto stacked =
        run({"explain", "one.bpf", "other.json", "--on", "x86_64", "--syscall", "personality", "--args", "0x20000"});
    EXPECT_THAT(stacked.out, HasSubstr("2 filters: ERRNO(EINVAL), by one.bpf"));
    for (const std::string word : {"1,2,3,4,5,6,7", "x", "", "1,,2", "0x", "99999999999999999999"})
        EXPECT_EQ(run({"explain", "one.bpf", "--syscall", "personality", "--args", word}).status, 2) << word;
    EXPECT_EQ(run({"explain", "one.bpf"}).status, 2);
    EXPECT_EQ(run({"explain", "one.bpf", "--syscall", "nosuchcall"}).status, 2);
    EXPECT_EQ(run({"explain", "one.bpf", "--syscall", "read", "--on", "vax"}).status, 2);
    EXPECT_EQ(run({"explain", "one.bpf", "none", "--syscall", "read"}).status, 5);
}

// Which rules of a profile were looked at, where they stand in it, and which one decided.
TEST_F(Filter, ExplainNamesTheRuleOfAProfile) {
    put("rules.json", R"({
  "defaultAction": "SCMP_ACT_ERRNO",
  "architectures": ["SCMP_ARCH_X86_64"],
  "syscalls": [
    {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
    {
      "names": ["personality"], "action": "SCMP_ACT_ALLOW",
      "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]
    },
    {"names": ["personality"], "action": "SCMP_ACT_LOG",
      "args": [{"index": 0, "value": 4294967295, "valueTwo": 131072, "op": "SCMP_CMP_MASKED_EQ"}]}
  ]
})");
    const auto explained = [&](const std::string& source, const std::string& call, const std::string& args,
                               const std::string& arch = "x86_64") {
        const auto got = run({"explain", source, "--on", arch, "--syscall", call, "--args", args});
        EXPECT_EQ(got.status, 0) << got.err;
        return got.out;
    };
    EXPECT_THAT(explained("rules.json", "write", "1"), HasSubstr("  rules.json:5: syscalls[0]: ALLOW\n"));
    // The larger value is looked at first, as libseccomp has it, wherever it stands.
    const auto logged = explained("rules.json", "personality", "0x20000");
    EXPECT_THAT(logged, HasSubstr("  rules.json:10: syscalls[2]: if (args[0] & 0xffffffff) == 0x20000: LOG\n"));
    EXPECT_THAT(logged, Not(HasSubstr("syscalls[1]")));
    const auto allowed = explained("rules.json", "personality", "8");
    EXPECT_THAT(allowed, HasSubstr("  rules.json:10: syscalls[2]: (args[0] & 0xffffffff) == 0x20000: not so\n"
                                   "  rules.json:6: syscalls[1]: if args[0] == 8: ALLOW\n"));
    EXPECT_THAT(allowed, Not(HasSubstr("defaultAction")));
    const auto denied = explained("rules.json", "personality", "9");
    EXPECT_THAT(denied, HasSubstr("  rules.json:6: syscalls[1]: args[0] == 8: not so\n"));
    EXPECT_THAT(denied, HasSubstr("  rules.json:2: defaultAction: no rule fits: ERRNO(EPERM)\n"));
    EXPECT_THAT(explained("rules.json", "read", "0", "i386"), HasSubstr("  not in the profile: KILL_PROCESS\n"));
    ASSERT_EQ(run({"build", "rules.json", "--output", "rules.bpf"}).status, 0);
    EXPECT_THAT(explained("rules.bpf", "write", "1"), Not(HasSubstr("syscalls[")));
}

// What the kernel takes as 32 bits and the filter compares as 64, and the same filter without that.
TEST_F(Filter, CheckWarnsOfIntsThatAreComparedAs64Bits) {
    const auto check = [&](const std::string& condition, const std::string& arch) {
        put("ints.c",
            program_in_c("\tif (" + condition + ")\n\t\treturn BPFW_ERRNO(1);\n\treturn SECCOMP_RET_ALLOW;\n"));
        const auto got = run({"check", "ints.c", "--arch", arch});
        EXPECT_EQ(got.status, 0) << got.err;
        return got.err;
    };
    const std::string is_int = "argument 0 of socket is an int", half = "looked at with 64 bits";
    // socket(int, …) is 41 of x86-64 and 359 of i386.
    const auto warned = check("ctx->nr == 41 && ctx->args[0] == 16", "x86_64");
    EXPECT_THAT(warned, HasSubstr("ints.c:4: " + is_int));
    EXPECT_THAT(warned, HasSubstr("compare (__u32)ctx->args[0]"));
    EXPECT_THAT(check("ctx->nr == 41 && ctx->args[0] > 16", "x86_64"), HasSubstr("ints.c:4: " + is_int));
    EXPECT_THAT(check("ctx->nr == 41 && (ctx->args[0] & ~15ULL)", "x86_64"), HasSubstr("ints.c:4: " + is_int));
    EXPECT_THAT(check("ctx->nr == 41 && (__u32)ctx->args[0] == 16", "x86_64"), IsEmpty());
    EXPECT_THAT(check("ctx->nr == 41 && (int)ctx->args[0] < -3", "x86_64"), IsEmpty());
    EXPECT_THAT(check("ctx->nr == 41 && (ctx->args[0] & 15) == 3", "x86_64"), IsEmpty()) << "the lower half only";
    // write()'s size is a size_t.
    EXPECT_THAT(check("ctx->nr == 1 && ctx->args[2] == 16", "x86_64"), IsEmpty());
    EXPECT_THAT(check("ctx->nr == 1 && ctx->args[0] == 16", "x86_64"), HasSubstr("argument 0 of write is an int"));
    // On i386 everything has 32 bits.
    EXPECT_THAT(check("ctx->nr == 4 && ctx->args[2] == 16", "i386"), HasSubstr("argument 2 of write is " + half));
    EXPECT_THAT(check("ctx->nr == 4 && (__u32)ctx->args[2] == 16", "i386"), IsEmpty());
    EXPECT_THAT(check("ctx->nr == 4 && ctx->args[2] == 16", "x86_64"), IsEmpty()) << "stat has no third argument";
    // Read, and of no consequence.
    EXPECT_THAT(
        check("ctx->nr == 41 && (ctx->args[0] >> 32 == 1 || ctx->args[0] >> 32 != 1) && (__u32)ctx->args[0] == 16",
              "x86_64"),
        IsEmpty());
    // One line for many calls.
    EXPECT_THAT(check("ctx->args[0] == 16", "x86_64"), HasSubstr(" more is an int"));
}

TEST_F(Filter, DiffAnswersByItsStatus) {
    const auto same = run({"diff", "one.json", "one.bpf"});
    EXPECT_EQ(same.status, 0);
    EXPECT_EQ(same.out, "the same function\n");
    const auto different = run({"diff", "one.json", "other.json"});
    EXPECT_EQ(different.status, 1);
    EXPECT_THAT(different.out, StartsWith("different: x86_64 personality(0x2000"));
    EXPECT_THAT(different.out, HasSubstr("ERRNO(EINVAL)"));
    EXPECT_EQ(run({"diff", "one.json"}).status, 2);
    EXPECT_EQ(run({"diff", "one.json", "one.bpf", "other.json"}).status, 2);
    EXPECT_EQ(run({"diff", "one.json", "none"}).status, 5);
    EXPECT_EQ(run({"diff", "one.json", "words"}).status, 6);
}

TEST_F(Filter, TestTellsAllThatDoesNotHold) {
    const std::string good =
        "format = 1\n[[expect]]\nsyscall = 'personality'\narch = 'x86_64'\nargs = [0x20000]\naction = 'ERRNO(EINVAL)'\n"
        "[[expect]]\nsyscall = 0\narch = 'x86_64'\naction = 'ALLOW'\n";
    put("good.toml", good);
    const auto ok = run({"test", "one.bpf", "good.toml"});
    EXPECT_EQ(ok.status, 0) << ok.err;
    EXPECT_EQ(ok.out, "2 of 2 as expected\n");
    put("wrong.toml", good + "[[expect]]\nsyscall = 'read'\narch = 'x86_64'\naction = 'KILL_PROCESS'\n");
    const auto wrong = run({"test", "one.bpf", "wrong.toml"});
    EXPECT_EQ(wrong.status, 1);
    EXPECT_EQ(wrong.out, "wrong.toml:11: x86_64 read is ALLOW, expected KILL_PROCESS\n2 of 3 as expected\n");
    for (const std::string table :
         {"", "format = 1\n", "[[expect]]\nsyscall = 'read'\naction = 'ALLOW'\n", "format = 2\n",
          "format = 1\n[[expect]]\nsyscall = 'read'\n", "format = 1\n[[expect]]\nsyscall = 'read'\naction = 'MAYBE'\n",
          "format = 1\n[[expect]]\nsyscall = 'raed'\naction = 'ALLOW'\n", "format = 1\nexpct = 1\n",
          "format = 1\n[[expect]]\nsyscall = 'read'\naction = 'ALLOW'\nargs = [1,2,3,4,5,6,7]\n"}) {
        put("bad.toml", table);
        const auto got = run({"test", "one.bpf", "bad.toml"});
        EXPECT_EQ(got.status, 6) << table;
        EXPECT_THAT(got.err, HasSubstr("bad.toml"));
    }
    EXPECT_NE(run({"test", "one.bpf", "none.toml"}).status, 0);
    EXPECT_EQ(run({"test", "one.bpf"}).status, 2);
}

TEST_F(Filter, RunIsTheCommandUnderTheFilter) {
    EXPECT_EQ(run({"run", "one.bpf", "--", "sh", "-c", "exit 7"}).status, 7);
    EXPECT_EQ(run({"run", "one.bpf", "sh", "-c", "exit 7"}).status, 7) << "without --";
    EXPECT_EQ(run({"run", "--effort", "quick", "one.json", "sh", "-c", "exit 7"}).status, 7);
    const auto state = run({"run", "one.bpf", "--", "grep", "-E", "^(NoNewPrivs|Seccomp):", "/proc/self/status"});
    EXPECT_EQ(state.out, "NoNewPrivs:\t1\nSeccomp:\t2\n");
    // What is denied, beside the same without the filter.
    const std::vector<std::string> denied{"setarch", "x86_64", "--uname-2.6", "true"};
    std::vector<std::string> words{"run", "one.bpf", "--"};
    words.insert(words.end(), denied.begin(), denied.end());
    const auto under = run(words);
    EXPECT_NE(under.status, 0);
    EXPECT_THAT(under.err, HasSubstr("Invalid argument"));
    words[1] = "other.json";
    EXPECT_EQ(run(words).status, 0) << "personality(0x20000) is not what this one denies";

    EXPECT_EQ(run({"run", "one.bpf", "--", "/nonexistent"}).status, 127);
    EXPECT_EQ(run({"run", "one.bpf", "--", "./words"}).status, 126);
    EXPECT_EQ(run({"run", "none", "--", "true"}).status, 125);
    EXPECT_EQ(run({"run", "words", "--", "true"}).status, 125);
    EXPECT_EQ(run({"run", "--bogus", "one.bpf", "--", "true"}).status, 125);
    const auto nothing = run({"run", "one.bpf"});
    EXPECT_EQ(nothing.status, 125);
    EXPECT_THAT(nothing.err, HasSubstr("COMMAND is missing"));
    EXPECT_THAT(run({"run"}).err, HasSubstr("SOURCE is missing"));
    const auto listener = run({"run", "one.bpf", "--new-listener", "none.sock", "--", "true"});
    EXPECT_EQ(listener.status, 125);
    EXPECT_THAT(listener.err, HasSubstr("none.sock"));
}

// It becomes the command, so there is nobody left to print a document. The command's own --json is the command's.
TEST_F(Filter, RunHasNoJson) {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"run", "--json", "one.bpf", "--", "touch", "ran"},
          std::vector<std::string>{"--json", "run", "one.bpf", "--", "touch", "ran"}}) {
        const auto refused = run(words);
        EXPECT_EQ(refused.status, 125);
        EXPECT_THAT(refused.out, IsEmpty());
        EXPECT_THAT(refused.err, HasSubstr("nothing to say as JSON"));
        EXPECT_FALSE(fs::exists(folder_ / "ran"));
    }
    EXPECT_EQ(run({"run", "one.bpf", "--", "echo", "--json"}).out, "--json\n");
}

TEST_F(Filter, RunRefusesAFilterThatLetsNothingStart) {
    const auto refused = run({"run", "deny_exec.c", "--", "true"});
    EXPECT_EQ(refused.status, 125);
    EXPECT_THAT(refused.err, HasSubstr("does not let the command start"));
    EXPECT_THAT(refused.err, HasSubstr("execve gets ERRNO(EPERM)"));
}

TEST_F(Filter, JsonIsOneDocumentWithItsSchema) {
    put("table.toml", "format = 1\n[[expect]]\nsyscall = 'read'\narch = 'x86_64'\naction = 'KILL_PROCESS'\n");
    const auto expect = [&](std::vector<std::string> args, int status, const std::string& verb) {
        args.push_back("--json");
        const auto got = run(args);
        EXPECT_EQ(got.status, status) << got.err;
        EXPECT_THAT(got.out, HasSubstr("\"schema\": \"bpfwarden.filter." + verb + "/1\""));
        EXPECT_THAT(got.out, StartsWith("{"));
        EXPECT_THAT(got.err, IsEmpty());
    };
    expect({"build", "one.bpf", "--output", "x.bpf"}, 0, "build");
    expect({"check", "one.bpf"}, 0, "check");
    expect({"dump", "one.bpf"}, 0, "dump");
    expect({"dump", "one.bpf", "--format", "json"}, 0, "dump");
    expect({"explain", "one.bpf", "--syscall", "read"}, 0, "explain");
    expect({"diff", "one.bpf", "one.bpf"}, 0, "diff");
    expect({"stats", "one.bpf"}, 0, "stats");
    expect({"test", "one.bpf", "table.toml"}, 1, "test");
    EXPECT_EQ(run({"build", "one.bpf", "--json"}).status, 2) << "the program would go there too";
    EXPECT_EQ(run({"dump", "one.bpf", "--json", "--format", "asm"}).status, 2);
    EXPECT_THAT(run({"dump", "one.bpf", "--json"}).out, HasSubstr("\"instructions\": [{\"code\":"));
}

// A source comes from somebody; what of it is printed must not act on the terminal.
TEST_F(Filter, NothingInASourceReachesTheTerminalRaw) {
    const std::string evil = "a\x1b[31m.json";
    put(evil, profile);
    put("b\x1b[31m", "no filter");
    put("c.json", R"({"defaultAction": "SCMP_ACT_ALLOW", "\u001b[31m": 1, "syscalls": []})");
    put("d\x1b[31m.toml", "format = 1\n[[expect]]\nsyscall = \"\\u001b[2J\"\naction = 'ALLOW'\n");
    for (const auto& got : {run({"check", evil}), run({"check", "b\x1b[31m"}), run({"check", "c.json"}),
                            run({"explain", evil, "--syscall", "read"}), run({"diff", evil, "other.json"}),
                            run({"test", "one.bpf", "d\x1b[31m.toml"}), run({"stats", evil})}) {
        EXPECT_THAT(got.out, Not(HasSubstr("\x1b"))) << got.out;
        EXPECT_THAT(got.err, Not(HasSubstr("\x1b"))) << got.err;
    }
}

}  // namespace bpfwarden
