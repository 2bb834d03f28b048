// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit …` as it is called: exit codes, filters, following.
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "unit/audit/logs.hpp"
#include "unit/grant/program.hpp"

namespace bpfwarden::audit {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class AuditCli : public LogFolder {
  protected:
    void SetUp() override {
        if (!std::filesystem::exists(program())) GTEST_SKIP() << program() << " is not built";
        LogFolder::SetUp();
        for (std::uint64_t i = 1; i <= 20; ++i) append(path_, line_of(i, operation(i, i % 4 != 0)));
    }
    Outcome run(std::vector<std::string> args) {
        args.insert(args.begin(), "audit");
        return bpfwarden_run(std::move(args), "", folder_);
    }
    static long lines(const std::string& text) { return std::ranges::count(text, '\n'); }
};

TEST_F(AuditCli, StatusForEachOutcome) {
    EXPECT_EQ(run({"query", "--file", "audit.jsonl"}).status, 0);
    EXPECT_EQ(run({"query", "--file", "audit.jsonl", "--grant", "nobody"}).status, 0) << "finding none is no failure";
    for (const std::string verb : {"tail", "query", "stats"}) {
        const auto none = run({verb, "--file", "none.jsonl"});
        EXPECT_EQ(none.status, 5);
        EXPECT_THAT(none.out, IsEmpty());
        EXPECT_THAT(none.err,
                    HasSubstr("No such file or directory (ENOENT)\n  bpfwardend and bpfwarden-guard write it"));
        EXPECT_EQ(lines(none.err), 3);
        EXPECT_EQ(run({verb, "--file", "."}).status, 6) << "a folder";
    }
    for (const auto& wrong : std::vector<std::vector<std::string>>{{"query", "--since", "yesterday"},
                                                                   {"query", "--lines", "-1"},
                                                                   {"query", "--lines", "x"},
                                                                   {"query", "--uid", "root"},
                                                                   {"query", "--verdict", "perhaps"},
                                                                   {"query", "--since", "1h", "--since", "2h"},
                                                                   {"stats", "--lines", "3"},
                                                                   {"stats", "x"}})
        EXPECT_EQ(run(wrong).status, 2) << wrong.back();
}

TEST_F(AuditCli, NoPermission) {
    if (::geteuid() == 0) {
        // What root may do, nobody may not.
        std::filesystem::permissions(folder_, std::filesystem::perms::all);
        std::filesystem::permissions(path_, std::filesystem::perms::owner_read);
        const pid_t child = ::fork();
        if (child == 0) {
            const bool dropped = ::setgid(65534) == 0 && ::setuid(65534) == 0;
            const auto denied = run({"query", "--file", path_});
            if (!dropped || denied.status == 127) ::_exit(99);
            ::_exit(denied.err.contains("as a member of the group bpfwarden") ? denied.status : 98);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        // The program lies where nobody cannot go.
        if (WEXITSTATUS(status) == 99) GTEST_SKIP() << "nobody cannot run the built program";
        EXPECT_EQ(WEXITSTATUS(status), 4);
        return;
    }
    std::filesystem::permissions(path_, std::filesystem::perms::none);
    EXPECT_EQ(run({"query", "--file", path_}).status, 4);
}

TEST_F(AuditCli, Filters) {
    const auto count = [&](std::vector<std::string> filters) {
        filters.insert(filters.begin(), {"query", "--file", "audit.jsonl"});
        const auto got = run(filters);
        EXPECT_EQ(got.err, "");
        return lines(got.out);
    };
    EXPECT_EQ(count({}), 20);
    EXPECT_EQ(count({"--verdict", "refused"}), 5);
    EXPECT_EQ(count({"--verdict", "refused", "--verdict", "allowed"}), 20);
    EXPECT_EQ(count({"--operation", "*lpm*"}), 5);
    EXPECT_EQ(count({"--session", "7"}), 20);
    EXPECT_EQ(count({"--session", "8"}), 0);
    EXPECT_EQ(count({"--uid", "1001", "--event", "operation"}), 20);
    EXPECT_EQ(count({"--since", "2026-03-14T09:26:53.015Z"}), 6);
    EXPECT_EQ(count({"--until", "2026-03-14T09:26:53.015Z"}), 15);
    EXPECT_EQ(count({"--since", "1s"}), 0);
    EXPECT_EQ(count({"--lines", "3"}), 3);
    EXPECT_THAT(run({"query", "--file", "audit.jsonl", "--lines", "1"}).out, HasSubstr("2026-03-14T09:26:53.020Z"));
}

TEST_F(AuditCli, StrictKnowsWhatIsMissing) {
    EXPECT_EQ(run({"query", "--strict", "--file", "audit.jsonl"}).status, 0);
    append(path_, line_of(23));
    const auto loose = run({"query", "--file", "audit.jsonl", "--grant", "nobody"});
    EXPECT_EQ(loose.status, 0);
    EXPECT_THAT(loose.err, HasSubstr("events 21 to 22 are missing (audit.jsonl)"));
    EXPECT_EQ(run({"query", "--strict", "--file", "audit.jsonl", "--until", "2026-03-14T09:26:53.010Z"}).status, 0)
        << "not in the time that is asked about";
    const auto strict = run({"query", "--strict", "--file", "audit.jsonl", "--grant", "nobody"});
    EXPECT_EQ(strict.status, 1);
    EXPECT_THAT(strict.err, HasSubstr("the log is not complete"));
}

TEST_F(AuditCli, JsonIsALineEach) {
    const auto got = run({"query", "--json", "--file", "audit.jsonl"});
    EXPECT_EQ(lines(got.out), 20);
    EXPECT_THAT(got.out, StartsWith("{\"schema\":\"bpfwarden.audit.event/1\",\"time\":\"2026-03-14T09:26:53.001"));
    std::ofstream(folder_ / "copy.jsonl") << got.out;
    EXPECT_EQ(run({"query", "--json", "--file", "copy.jsonl"}).out, got.out) << "what is printed can be read";
    EXPECT_THAT(run({"stats", "--json", "--file", "audit.jsonl"}).out,
                StartsWith("{\n  \"schema\": \"bpfwarden.audit.stats/1\""));
}

TEST_F(AuditCli, TailFindsWhatIsFarBack) {
    for (std::uint64_t i = 21; i < 6000; ++i) append(path_, line_of(i));
    const auto far = run({"tail", "--file", "audit.jsonl", "--verdict", "refused", "--lines", "2"});
    EXPECT_EQ(lines(far.out), 2);
    EXPECT_THAT(far.out, HasSubstr("2026-03-14T09:26:53.016Z"));
    EXPECT_EQ(lines(run({"tail", "--file", "audit.jsonl"}).out), 10);
    std::filesystem::rename(path_, path_ + ".1");
    std::filesystem::last_write_time(path_ + ".1",
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(48));
    append(path_, line_of(6000));
    EXPECT_EQ(lines(run({"tail", "--file", "audit.jsonl"}).out), 10);
    EXPECT_EQ(lines(run({"tail", "--file", "audit.jsonl", "--since", "1h"}).out), 0) << "it ends";
    EXPECT_EQ(lines(run({"tail", "--file", "audit.jsonl", "--lines", "0"}).out), 0);
}

TEST_F(AuditCli, NothingInAnEventReachesTheTerminalRaw) {
    auto event = operation(21, false);
    for (const char* name : {"grant", "session", "operation", "key", "reason", "opener.exe", "verdict"})
        event.set(name, "a\x1b[31m\xe2\x80\xae\n\xff");
    append(path_, line_of(21, event));
    append(path_,
           "\x1b[2J\n{\"time\":\"2026-03-14T09:26:53Z\",\"event\":\"\\u001b[31m\",\"a\\u001b\":\"\xe2\x80\xae\"}\n");
    for (const std::string verb : {"tail", "query", "stats"})
        for (const bool json : {false, true}) {
            std::vector<std::string> args{verb, "--file", "audit.jsonl"};
            if (json) args.emplace_back("--json");
            const auto got = run(args);
            for (const auto& text : {got.out, got.err}) {
                EXPECT_THAT(text, Not(HasSubstr("\x1b"))) << verb;
                const bool raw_utf8 = verb == "stats" && json;  // JSON for programs
                EXPECT_TRUE(raw_utf8 || !text.contains("\xe2\x80\xae")) << verb;
            }
        }
}

TEST_F(AuditCli, TailFollowsUntilNobodyReads) {
    int out[2];
    ASSERT_EQ(::pipe(out), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(out[1], 1);
        ::close(out[0]);
        ::close(out[1]);
        ::execl(program().c_str(), "bpfwarden", "audit", "tail", "--follow", "--lines", "1", "--file", path_.c_str(),
                nullptr);
        ::_exit(127);
    }
    ::close(out[1]);
    const auto next_line = [&] {
        std::string text;
        char c = 0;
        pollfd polled{out[0], POLLIN, 0};
        while (::poll(&polled, 1, 60'000) == 1 && ::read(out[0], &c, 1) == 1 && c != '\n') text += c;
        return text;
    };
    EXPECT_THAT(next_line(), StartsWith("2026-03-14T09:26:53.020Z"));
    append(path_, line_of(21, operation(21)));
    EXPECT_THAT(next_line(), StartsWith("2026-03-14T09:26:53.021Z"));
    std::filesystem::rename(path_, path_ + ".1");
    append(path_, line_of(22, operation(22)));
    EXPECT_THAT(next_line(), StartsWith("2026-03-14T09:26:53.022Z"));
    ::close(out[0]);
    int status = -1;
    for (int i = 0; i < 600 && ::waitpid(child, &status, WNOHANG) == 0; ++i) ::usleep(100'000);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it ends though nothing is written";
    if (status == -1) ::kill(child, SIGKILL);
}

}  // namespace bpfwarden::audit
