// SPDX-License-Identifier: Apache-2.0
// Calls from every kind of thread and process that a command can have.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <thread>

#include "act.hpp"
#include "raw.hpp"

namespace bpfwarden::test {

using namespace raw;

// A map, a program that uses it, and what is known of it: memory, file descriptors and answers all pass.
static std::string everything() {
    const int map = create_map();
    std::string text = word(map);
    const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(map));
    text += " " + word(program);
    bpf_prog_info info{};
    text += " " + word(info_of(program, info));
    ::close(map);
    ::close(program);
    return text;
}

BW_ACT(everything, "everything") { return everything(); }

// N threads that do it M times, all at once.
BW_ACT(threads, "threads") {
    std::atomic<long> good = 0;
    std::vector<std::thread> all;
    for (int i = std::stoi(args.at(0)); i > 0; --i)
        all.emplace_back([&] {
            for (int j = std::stoi(args.at(1)); j > 0; --j) good += everything() == "ok ok ok" ? 1 : 0;
        });
    for (auto& one : all) one.join();
    return std::to_string(good);
}

// In a thread with file descriptors of its own: a map that the others have not.
BW_ACT(own_files, "own-files") {
    std::string text;
    std::thread([&] { text = ::unshare(CLONE_FILES) == 0 ? everything() : "unshare"; }).join();
    return text;
}

// What is left of a process whose first thread has ended.
BW_ACT(leader_gone, "leader-gone") {
    std::thread([] {
        const auto leader = "/proc/self/task/" + std::to_string(::getpid()) + "/stat";
        for (std::string state; state != "Z";) {
            std::ifstream file(leader);
            std::string number, name;
            file >> number >> name >> state;
        }
        say_line(everything());
        ::_exit(0);
    }).detach();
    (void)::syscall(SYS_exit, 0);
    return "";
}

static std::string in_child(const std::function<void()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        body();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                             : "signal " + std::to_string(WTERMSIG(status));
}

// A fork, and a fork that is another program.
BW_ACT(forks, "forks") {
    auto text = in_child([] { say_line("fork: " + everything()); });
    text += ", " + in_child([] {
                ::execl("/proc/self/exe", "acts", "everything", nullptr);
                ::_exit(1);
            });
    return " " + text;
}

// All at once, from N processes.
BW_ACT(processes, "processes") {
    std::vector<pid_t> children;
    for (int i = std::stoi(args.at(0)); i > 0; --i) {
        const pid_t child = ::fork();
        if (child == 0) {
            for (int j = 0; j < 10; ++j)
                if (everything() != "ok ok ok") ::_exit(1);
            ::_exit(0);
        }
        children.push_back(child);
    }
    long good = 0;
    for (const pid_t child : children) {
        int status = -1;
        ::waitpid(child, &status, 0);
        good += status == 0 ? 1 : 0;
    }
    return std::to_string(good);
}

BW_ACT(whoami, "whoami") {
    std::string text = std::to_string(::getuid()) + ":" + std::to_string(::getgid()) + " " +
                       std::to_string(::geteuid()) + ":" + std::to_string(::getegid()) + " groups " +
                       std::to_string(::getgroups(0, nullptr));
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        for (const char* name : {"CapEff:", "NoNewPrivs:"})
            if (line.starts_with(name)) text += " " + line.replace(line.find('\t'), 1, "");
    return text;
}

// A signal every 100 µs for N calls, each of which counts in a map: done as often as it was answered, and no more.
static volatile sig_atomic_t signals_seen = 0;
BW_ACT(signals, "signals") {
    const int map = create_map();
    const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(map));
    if (program < 0) return word(program);
    std::array<std::byte, 64> packet{};
    bpf_attr run{};
    run.test.prog_fd = static_cast<__u32>(program);
    run.test.data_in = address(packet.data());
    run.test.data_size_in = packet.size();
    struct sigaction action{};
    action.sa_handler = [](int) { signals_seen = signals_seen + 1; };
    action.sa_flags = args.at(1) == "restart" ? SA_RESTART : 0;
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 100}, .it_value = {.tv_sec = 0, .tv_usec = 100}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    long done = 0, interrupted = 0, other = 0;
    for (long left = std::stol(args.at(0)); left > 0; --left) {
        if (sys_bpf(BPF_PROG_TEST_RUN, run) == 0)
            ++done;
        else if (errno == EINTR)
            ++interrupted;
        else
            ++other;
    }
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    const auto counted = static_cast<long>(first_element(map));
    say_line("interrupted " + std::to_string(interrupted) + " of " + args.at(0));
    return std::string(signals_seen > 100 ? "signals" : "no signals") + ", other errors " + std::to_string(other) +
           ", done twice " + std::to_string(counted - done) +
           (args.at(1) == "restart" ? ", interrupted " + std::to_string(interrupted) : "");
}

static long install(const std::vector<sock_filter>& code, unsigned flags) {
    const sock_fprog program{.len = static_cast<unsigned short>(code.size()),
                             .filter = const_cast<sock_filter*>(code.data())};
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// With a filter of its own: getppid() is EXDEV. Then one with a listener of its own, of which the kernel has one.
BW_ACT(own_filters, "own-filters") {
    std::string text = word(
        install({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
                0));
    text += " " + word(::syscall(SYS_getppid));
    text += ", " + everything();
    text +=
        ", listener " + word(install({BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, SECCOMP_FILTER_FLAG_NEW_LISTENER));
    // One that refuses what the session would allow: the stricter of the two.
    text += ", " + word(install({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
                                0));
    return text + " " + word(create_map());
}

// User and process namespaces of its own, in which it is the first process and has all capabilities.
BW_ACT(namespaces, "namespaces") {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) return "unshare: " + word(-1);
    const auto ended = in_child([] { say_line("process " + std::to_string(::getpid()) + ": " + everything()); });
    return ended;
}

#if defined(__x86_64__)
static long by_old_gate(long number) {
    long result = number;
    asm volatile("int $0x80"
                 : "+a"(result)
                 : "b"(0), "c"(0), "d"(0), "S"(0), "D"(0)
                 : "memory", "r8", "r9", "r10", "r11");
    return static_cast<int>(result);
}
// getpid and bpf, of i386 and of x32.
BW_ACT(architectures, "architectures") {
    constexpr long x32 = 0x40000000;
    const auto named = [](long result) {
        return result >= 0 ? "ok" : std::string(::strerrorname_np(static_cast<int>(-result)));
    };
    std::string text = named(by_old_gate(20)) + " " + named(by_old_gate(357));
    text += ", " + word(::syscall(x32 | SYS_getpid)) + " " + word(::syscall(x32 | SYS_bpf, 0, 0, 0));
    return text + ", no call " + word(::syscall(-1));
}
#endif

// What nobody may trace is not read.
BW_ACT(not_dumpable, "not-dumpable") {
    std::string text = word(create_map());
    (void)::prctl(PR_SET_DUMPABLE, 0);
    text += " " + word(create_map());
    (void)::prctl(PR_SET_DUMPABLE, 1);
    return text + " " + word(create_map());
}

}  // namespace bpfwarden::test
