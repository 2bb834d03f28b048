// SPDX-License-Identifier: Apache-2.0
// What is there to be ended, by whatever way, and told how it went.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "act.hpp"
#include "attach.hpp"
#include "raw.hpp"

namespace bpfwarden::test {

using namespace raw;

// Makes maps and programs until something fails: what.
BW_ACT(until_failure, "until-failure") {
    const auto code = Code(4000, insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0));
    auto with_end = code;
    with_end.push_back(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    say_line("ready " + std::to_string(::getpid()));
    for (;;) {
        const int map = create_map();
        if (map < 0) return "map " + word(map);
        ::close(map);
        const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, with_end);
        if (program < 0) return "program " + word(program);
        ::close(program);
    }
}

// A program that counts until the session is over, and what is left then.
BW_ACT(attached, "attached") {
    const Counter counter;
    if (!counter.is_ready()) return counter.words();
    const int made = ::ioctl(counter.event, PERF_EVENT_IOC_SET_BPF, counter.program);
    std::string text = word(made) + " " + word(::ioctl(counter.event, PERF_EVENT_IOC_ENABLE, 0));
    say_line(text + " " + std::to_string(calls_seen(counter.map)));
    (void)hear_line();
    for (int i = 0; i < 1000 && calls_seen(counter.map) != 0; ++i) ::usleep(10'000);
    text = std::to_string(calls_seen(counter.map)) + ", " + word(create_map());
    text += " " + word(::ioctl(counter.event, PERF_EVENT_IOC_ENABLE, 0));
    text += " " + word(::syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
    bpf_prog_info info{};
    text += " " + word(info_of(counter.program, info));
    // What needs no session goes on: elements of maps, and calls that the filter does not catch.
    std::uint32_t key = 0;
    std::uint64_t value = 5;
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(counter.map);
    attr.key = address(&key);
    attr.value = address(&value);
    return text + ", map " + word(sys_bpf(BPF_MAP_LOOKUP_ELEM, attr)) + " " + word(::ioctl(1, 0, 0));
}

static volatile sig_atomic_t last_signal = 0;
// Says each signal that comes, until SIGTERM.
BW_ACT(hears_signals, "hears-signals") {
    sigset_t all, before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    for (const int number : {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH})
        ::signal(number, [](int which) { last_signal = which; });
    say_line("ready " + std::to_string(::getpid()));
    for (;;) {
        ::sigsuspend(&before);
        if (last_signal == SIGTERM) return "TERM";
        say_line(::sigabbrev_np(last_signal));
    }
}

BW_ACT(exits, "exit") { ::_exit(std::stoi(args.at(0))); }
BW_ACT(dies, "die-of") {
    ::raise(std::stoi(args.at(0)));
    return "still here";
}

BW_ACT(refused, "refused") {
    for (int i = 0; i < 3; ++i) (void)create_map(BPF_MAP_TYPE_HASH);
    (void)create_map(BPF_MAP_TYPE_LPM_TRIE);
    (void)load(BPF_PROG_TYPE_SOCKET_FILTER,
               {insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns), insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)});
    return word(create_map());
}

// Its own /sys/kernel/tracing: the ids below it, and whether it can be written to.
BW_ACT(tracing, "tracing") {
    std::string text;
    for (const std::string top : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
        std::error_code problem;
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(top, problem))
            if (entry.is_regular_file()) found.push_back(entry.path().string().substr(top.size() + 1));
        std::ranges::sort(found);
        text += top + ":";
        for (const auto& one : found) text += " " + one;
        text += problem ? " (" + problem.message() + ")" : "";
        text += " id " + std::to_string(tracepoint_id("syscalls/sys_enter_getppid", top));
        text += " " + word(::open((top + "/new").c_str(), O_WRONLY | O_CREAT, 0644));
        text += " " + word(::open((top + "/available_events").c_str(), O_WRONLY)) + "\n";
    }
    std::ifstream list("/sys/kernel/tracing/available_events");
    for (std::string line; std::getline(list, line);) text += line + "\n";
    return text;
}

BW_ACT(makes_file, "makes-file") {
    const int made = ::open(args.at(0).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    return word(made) + " " + std::to_string(::getuid()) + ":" + std::to_string(::getgid());
}

// Attributes in memory whose pages somebody has to bring, and nobody does.
BW_ACT(never_answers, "never-answers") {
    const int faults = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
    if (faults < 0) return std::string("no userfaultfd: ") + ::strerrorname_np(errno);
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    (void)::ioctl(faults, UFFDIO_API, &api);
    constexpr std::size_t page = 4096;
    void* memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register range{.range = {address(memory), page}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
    if (::ioctl(faults, UFFDIO_REGISTER, &range) != 0) return "not registered";
    say_line("asks");
    return word(::syscall(SYS_bpf, BPF_MAP_CREATE, memory, 8));
}

}  // namespace bpfwarden::test
