// SPDX-License-Identifier: Apache-2.0
// Tracing tools of libbpf-tools and bpftrace, as Debian has them: nobody sees under a grant what root sees without one,
// and nothing with one entry of the grant less.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <vector>

#include "root/tools/tool.hpp"

namespace bpfwarden::test {
namespace {

using ::testing::HasSubstr;
using Grants = std::map<std::string, std::string>;

// Of this run alone, in names of commands (15 characters) and files.
const std::string& mark() {
    static const std::string name = "bw" + std::to_string(::getpid());
    return name;
}

// A child of that name which does it.
void in_a_child(const std::string& name, const std::function<void()>& body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_NAME, name.c_str());
        body();
        ::_exit(0);
    }
    ::waitpid(pid, nullptr, 0);
}

void exec() {
    // In memory that the child has: what is not there, a program cannot read, and nothing waits for it.
    const std::string program = "/bin/true";
    in_a_child("child", [&] { ::execl(program.c_str(), program.c_str(), mark().c_str(), nullptr); });
}
void open_file() { (void)!::open(("/nowhere/" + mark()).c_str(), O_RDONLY); }
void ask_about_file() {
    struct statfs info{};
    (void)!::statfs(("/nowhere/" + mark()).c_str(), &info);
}
void exit_with_7() {
    in_a_child(mark(), [] { ::_exit(7); });
}
void kill_itself() {
    in_a_child(mark(), [] {
        ::signal(SIGUSR2, SIG_IGN);
        ::kill(::getpid(), SIGUSR2);
    });
}
void call_getppid() {
    for (int i = 0; i < 1000; ++i) ::syscall(SYS_getppid);
}
// To a disk, past all caches.
void write_to_disk() {
    const std::string path = (emulated() ? "/bpfwarden/" : "/var/tmp/") + mark();
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)!::write(file, path.data(), path.size());
    ::fsync(file);
    ::close(file);
    ::unlink(path.c_str());
}
void work() {
    in_a_child(mark(), [] {
        timespec now{}, end{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        for (end.tv_nsec += 200'000'000; now.tv_sec * 1'000'000'000 + now.tv_nsec < end.tv_nsec;)
            ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    });
}

struct Tool {
    std::string grant;
    Words command;      // "MARK" and "SELF" in it are replaced
    std::string event;  // what it says of it; the same
    void (*cause)();
    std::string taken_out;  // of the grant; then nothing works
    std::string reason;
};

void PrintTo(const Tool& tool, std::ostream* out) { *out << tool.grant; }

const std::vector<Tool> tools = {
    {"execsnoop",
     {"execsnoop"},
     "true +[0-9]+ +[0-9]+ +0 /bin/true MARK",
     exec,
     "probe_read_user_str",
     "helper probe_read_user_str is not in helpers"},
    {"opensnoop",
     {"opensnoop"},
     " -1 +2 /nowhere/MARK",
     open_file,
     "perf_event_array",
     "map type perf_event_array is not in map_types"},
    {"exitsnoop",
     {"exitsnoop"},
     "MARK .* 7\r",
     exit_with_7,
     "cgroup_array",
     "map type cgroup_array is not in map_types"},
    {"syscount",
     {"syscount", "-i", "1", "-p", "SELF"},
     "getppid +[1-9]",
     call_getppid,
     "tracepoint",
     "prog_load is not allowed: no program type is"},
    {"killsnoop",
     {"killsnoop"},
     "MARK +12 ",
     kill_itself,
     "get_current_pid_tgid",
     "helper get_current_pid_tgid is not in helpers"},
    {"biolatency",
     {"biolatency", "1"},
     "-> [0-9]+ +: [1-9]",
     write_to_disk,
     "block_rq_complete",
     "tracepoint block_rq_complete matches nothing in tracepoints"},
    {"statsnoop",
     {"bpftrace", "/usr/sbin/statsnoop.bt"},
     " 2 /nowhere/MARK",
     ask_about_file,
     "bounded_loops",
     "feature bounded_loops is not in verifier"},
    {"bpftrace-execs",
     {"bpftrace", "-e", R"(tracepoint:syscalls:sys_enter_execve { printf("%s: %s\n", comm, str(args->filename)); })"},
     "child: /bin/true",
     exec,
     "perf_event_output",
     "helper perf_event_output is not in helpers"},
    {"bpftrace-profile",
     {"bpftrace", "-e", "profile:hz:49 { @[comm] = count(); } interval:s:1 { print(@); clear(@); }"},
     "@\\[MARK\\]: [1-9]",
     work,
     "percpu_hash",
     "map type percpu_hash is not in map_types"},
};

std::string filled(std::string text) {
    for (const auto& [name, value] : {std::pair{"MARK", mark()}, std::pair{"SELF", std::to_string(::getpid())}})
        for (std::size_t at; (at = text.find(name)) != std::string::npos;) text.replace(at, 4, value);
    return text;
}
Words filled(const Tool& tool) {
    Words words{find_tool(tool.command.front())};
    for (const auto& word : std::span(tool.command).subspan(1)) words.push_back(filled(word));
    if (words.back().ends_with(".bt")) words.back() = find_tool(words.back().substr(words.back().rfind('/') + 1));
    return words;
}

class Snoops : public ::testing::TestWithParam<Tool> {
  protected:
    void SetUp() override {
        BW_NEEDS_TOOL(tool.command.front());
        (void)mark();  // by this process, before it has children
    }
    Running start() const { return Running::under_grant(tool.grant, filled(tool), tool.command.front() == "bpftrace"); }

    const Tool& tool = GetParam();
};

TEST_P(Snoops, NobodySeesWhatRootSees) {
    {
        // The control: what it says without a grant, as root.
        Running by_root(0, filled(tool));
        const bool seen = by_root.says(filled(tool.event), tool.cause);
        by_root.interrupt();
        if (!seen)
            GTEST_SKIP() << "this kernel lacks what " << tool.grant
                         << " needs: root sees nothing either: " << by_root.said().substr(0, 400);
    }
    Daemon daemon(Grants{{tool.grant, example_grant(tool.grant)}});
    auto running = start();
    EXPECT_TRUE(running.says(filled(tool.event), tool.cause)) << running.said();
    const auto session = daemon.sessions();
    EXPECT_EQ(session.size(), 1U);
    running.interrupt();
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST_P(Snoops, NothingWithOneEntryLess) {
    Daemon daemon(Grants{{tool.grant, without(example_grant(tool.grant), tool.taken_out)}});
    auto running = start();
    EXPECT_FALSE(running.says(filled(tool.event), tool.cause)) << running.said();
    EXPECT_NE(running.wait(), 0);
    EXPECT_THAT(running.said(), HasSubstr("bpfwarden run: refused"));
    EXPECT_THAT(running.said(), HasSubstr(tool.reason));
}

INSTANTIATE_TEST_SUITE_P(, Snoops, ::testing::ValuesIn(tools), [](const auto& tool) {
    auto name = tool.param.grant;
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace bpfwarden::test
