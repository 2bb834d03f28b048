// SPDX-License-Identifier: Apache-2.0
#include "root/tools/matrix.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <functional>
#include <ostream>
#include <span>
#include <utility>

namespace bpfwarden::test {
namespace {

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
// By both calls that there are.
void open_file() {
    (void)!::syscall(SYS_open, ("/nowhere/" + mark() + "-open").c_str(), O_RDONLY);
    (void)!::syscall(SYS_openat, AT_FDCWD, ("/nowhere/" + mark() + "-at").c_str(), O_RDONLY);
}
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

std::string filled(std::string text) {
    for (const auto& [name, value] : {std::pair{"MARK", mark()}, std::pair{"SELF", std::to_string(::getpid())}})
        for (std::size_t at; (at = text.find(name)) != std::string::npos;) text.replace(at, 4, value);
    return text;
}

}  // namespace

void PrintTo(const Tool& tool, std::ostream* out) { *out << tool.grant; }

const std::vector<Tool>& tools() {
    static const std::vector<Tool> all = {
        {"execsnoop",
         {"execsnoop"},
         "true +[0-9]+ +[0-9]+ +0 /bin/true MARK",
         exec,
         "probe_read_user_str",
         "helper probe_read_user_str is not in helpers"},
        {"opensnoop",
         {"opensnoop"},
         R"( -1 +2 /nowhere/MARK-open[\s\S]* -1 +2 /nowhere/MARK-at)",
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
         {"bpftrace", "-e",
          R"(tracepoint:syscalls:sys_enter_execve { printf("%s: %s\n", comm, str(args->filename)); })"},
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
    return all;
}

Words command_of(const Tool& tool) {
    Words words{find_tool(tool.command.front())};
    for (const auto& word : std::span(tool.command).subspan(1)) words.push_back(filled(word));
    if (words.back().ends_with(".bt")) words.back() = find_tool(words.back().substr(words.back().rfind('/') + 1));
    return words;
}

bool shows_its_event(Running& running, const Tool& tool, std::chrono::milliseconds within) {
    return running.says(filled(tool.event), tool.cause, within);
}

}  // namespace bpfwarden::test
