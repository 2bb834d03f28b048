// SPDX-License-Identifier: Apache-2.0
#include "tracer.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

namespace bpfwarden::test {

#if defined(__x86_64__)

bool tracer_works() { return true; }

namespace {

constexpr int patience_seconds = 60;

struct Tracee {
    std::string label;
    unsigned children = 0;
    bool inside = false;  // between the entry and the exit of a call
    bool held = false;    // it stopped before its parent told of it
    Verdict verdict;
    std::map<long, unsigned> counts;
};

std::string read_string(pid_t pid, unsigned long address) {
    char text[256] = {};
    iovec here{text, sizeof text - 1}, there{reinterpret_cast<void*>(address), sizeof text - 1};
    if (::process_vm_readv(pid, &here, 1, &there, 1, 0) <= 0) {
        // It may end at a page's edge.
        there.iov_len = here.iov_len = 4096 - address % 4096 < sizeof text ? 4096 - address % 4096 : sizeof text - 1;
        if (::process_vm_readv(pid, &here, 1, &there, 1, 0) <= 0) return "";
    }
    return text;
}

std::string path_of(pid_t pid, const user_regs_struct& regs) {
    switch (regs.orig_rax) {
        case SYS_execve:
        case SYS_chdir:
        case SYS_statfs:
            return read_string(pid, regs.rdi);
        case SYS_openat:
        case SYS_openat2:
        case SYS_newfstatat:
        case SYS_mkdirat:
        case SYS_unlinkat:
        case SYS_mount:
            return read_string(pid, regs.rsi);
        default:
            return "";
    }
}

volatile sig_atomic_t out_of_time = 0;

class Tracer {
  public:
    explicit Tracer(const std::function<Verdict(const Call&)>& decide) : decide_(decide) {}

    Traced follow(const Words& argv) {
        Traced traced;
        const int out = ::memfd_create("stdout", MFD_CLOEXEC), err = ::memfd_create("stderr", MFD_CLOEXEC);
        program_ = start(argv, out, err);
        watch_the_clock(patience_seconds);
        int status = 0;
        while (true) {
            const pid_t pid = ::waitpid(-1, &status, __WALL);
            if (pid < 0 && errno == EINTR && out_of_time != 0) {
                traced.stray = give_up();
                continue;
            }
            if (pid < 0 && errno == EINTR) continue;
            if (pid < 0) break;  // nobody is left
            if (WIFEXITED(status) || WIFSIGNALED(status)) {
                if (pid == program_) traced.ended.status = status;
                tracees_.erase(pid);
                let_orphans_go();
            } else {
                stopped(pid, status);
            }
        }
        watch_the_clock(0);
        traced.ended.late = out_of_time != 0;
        traced.command_started = command_started_;
        traced.ended.out = whole(out);
        traced.ended.err = whole(err);
        return traced;
    }

  private:
    static constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                    PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

    pid_t start(const Words& argv, int out, int err) {
        int gate[2];
        if (::pipe2(gate, O_CLOEXEC) != 0) return -1;
        std::vector<char*> words;
        for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        const pid_t pid = ::fork();
        if (pid == 0) {
            const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            ::dup2(null, 0);
            ::dup2(out, 1);
            ::dup2(err, 2);
            ::close(gate[1]);
            char byte;
            (void)!::read(gate[0], &byte, 1);
            ::execv(words[0], words.data());
            ::_exit(111);
        }
        tracees_[pid].label = "0";
        ::ptrace(PTRACE_SEIZE, pid, 0, options);
        ::ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        ::waitpid(pid, nullptr, __WALL);
        ::ptrace(PTRACE_SYSCALL, pid, 0, 0);
        ::close(gate[0]);
        ::close(gate[1]);
        return pid;
    }

    static void watch_the_clock(int seconds) {
        if (seconds != 0) {
            out_of_time = 0;
            struct sigaction action{};
            action.sa_handler = [](int) { out_of_time = 1; };
            ::sigaction(SIGALRM, &action, nullptr);  // without SA_RESTART
        }
        const itimerval timer{{1, 0}, {seconds, 0}};
        const itimerval none{};
        ::setitimer(ITIMER_REAL, seconds != 0 ? &timer : &none, nullptr);
    }

    std::string give_up() {
        std::string who;
        for (const auto& [pid, tracee] : tracees_) {
            who += tracee.label + " ";
            ::kill(pid, SIGKILL);
        }
        if (command_started_) ::kill(program_, SIGKILL);
        return who.empty() ? "0" : who;
    }

    // A parent that was killed right after its fork never tells of the child.
    void let_orphans_go() {
        for (auto& [pid, tracee] : tracees_) {
            if (!std::exchange(tracee.held, false)) continue;
            tracee.label = "?";
            ::ptrace(PTRACE_SYSCALL, pid, 0, 0);
        }
    }

    void stopped(pid_t pid, int status) {
        auto& tracee = tracees_[pid];
        if (tracee.label.empty()) {
            tracee.held = true;
            return;
        }
        const int signal = WSTOPSIG(status);
        const int event = status >> 16;
        int deliver = 0;
        if (signal == (SIGTRAP | 0x80)) {
            tracee.inside ? leave(pid, tracee) : enter(pid, tracee);
        } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
            unsigned long child = 0;
            ::ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
            auto& born = tracees_[static_cast<pid_t>(child)];
            born.label = tracee.label + "." + std::to_string(++tracee.children);
            if (std::exchange(born.held, false)) ::ptrace(PTRACE_SYSCALL, child, 0, 0);
        } else if (event == PTRACE_EVENT_EXEC && pid == program_ && ++execs_ == 2) {
            command_started_ = true;
            ::ptrace(PTRACE_DETACH, pid, 0, 0);
            tracees_.erase(pid);
            return;
        } else if (event == 0) {
            deliver = signal;
        }
        ::ptrace(PTRACE_SYSCALL, pid, 0, deliver);
    }

    void enter(pid_t pid, Tracee& tracee) {
        tracee.inside = true;
        user_regs_struct regs{};
        if (::ptrace(PTRACE_GETREGS, pid, 0, &regs) != 0) return;
        Call call{tracee.label, static_cast<long>(regs.orig_rax), 0, path_of(pid, regs), pid, regs.rdi};
        call.occurrence = ++tracee.counts[call.number];
        tracee.verdict = decide_(call);
        if (tracee.verdict.action == Verdict::fail) {
            regs.orig_rax = ~0ULL;
            ::ptrace(PTRACE_SETREGS, pid, 0, &regs);
        } else if (tracee.verdict.action == Verdict::kill) {
            ::kill(tracee.verdict.victim, SIGKILL);
        }
    }

    static void leave(pid_t pid, Tracee& tracee) {
        tracee.inside = false;
        const Verdict verdict = std::exchange(tracee.verdict, {});
        if (verdict.action != Verdict::fail && verdict.action != Verdict::fail_after) return;
        user_regs_struct regs{};
        if (::ptrace(PTRACE_GETREGS, pid, 0, &regs) != 0) return;
        regs.rax = static_cast<unsigned long long>(-verdict.error);
        ::ptrace(PTRACE_SETREGS, pid, 0, &regs);
    }

    static std::string whole(int fd) {
        std::string text;
        char buffer[4096];
        ::lseek(fd, 0, SEEK_SET);
        for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
        ::close(fd);
        return text;
    }

    const std::function<Verdict(const Call&)>& decide_;
    std::map<pid_t, Tracee> tracees_;
    pid_t program_ = -1;
    int execs_ = 0;
    bool command_started_ = false;
};

}  // namespace

Traced trace(const Words& argv, const std::function<Verdict(const Call&)>& decide) {
    // On one processor, where a stop is a switch of tasks; in an emulated guest it is ten times slower across two.
    cpu_set_t before, one;
    ::sched_getaffinity(0, sizeof before, &before);
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    auto traced = Tracer(decide).follow(argv);
    ::sched_setaffinity(0, sizeof before, &before);
    return traced;
}

#else

bool tracer_works() { return false; }
Traced trace(const Words&, const std::function<Verdict(const Call&)>&) { return {}; }

#endif

std::string Call::name() const {
    static const std::map<long, const char*> names{
#define BW_CALL(name) {SYS_##name, #name}
        BW_CALL(bpf),
        BW_CALL(capget),
        BW_CALL(capset),
        BW_CALL(chdir),
        BW_CALL(clone),
        BW_CALL(close),
        BW_CALL(connect),
        BW_CALL(execve),
        BW_CALL(fchdir),
        BW_CALL(fcntl),
        BW_CALL(fsconfig),
        BW_CALL(fsmount),
        BW_CALL(fsopen),
        BW_CALL(fstatfs),
        BW_CALL(getdents64),
        BW_CALL(getpid),
        BW_CALL(getppid),
        BW_CALL(ioctl),
        BW_CALL(lseek),
        BW_CALL(mkdirat),
        BW_CALL(mmap),
        BW_CALL(mount),
        BW_CALL(move_mount),
        BW_CALL(munmap),
        BW_CALL(newfstatat),
        BW_CALL(openat),
        BW_CALL(openat2),
        BW_CALL(pidfd_open),
        BW_CALL(pread64),
        BW_CALL(prctl),
        BW_CALL(read),
        BW_CALL(readlink),
        BW_CALL(recvmsg),
        BW_CALL(sendmsg),
        BW_CALL(setgroups),
        BW_CALL(setns),
        BW_CALL(setresgid),
        BW_CALL(setresuid),
        BW_CALL(setsid),
        BW_CALL(socket),
        BW_CALL(socketpair),
        BW_CALL(statfs),
        BW_CALL(unlinkat),
        BW_CALL(unshare),
        BW_CALL(wait4),
        BW_CALL(write),
        BW_CALL(close_range),
        BW_CALL(poll),
        BW_CALL(dup2),
        BW_CALL(rt_sigaction),
        BW_CALL(brk),
        BW_CALL(getcwd),
        BW_CALL(pidfd_send_signal),
        BW_CALL(geteuid),
        BW_CALL(access),
        BW_CALL(faccessat2),
        BW_CALL(exit_group),
#undef BW_CALL
    };
    const auto found = names.find(number);
    return found != names.end() ? found->second : "system call " + std::to_string(number);
}

std::string Call::address() const { return process + " " + name() + " #" + std::to_string(occurrence); }
std::string Call::describe() const { return path.empty() ? address() : address() + " (" + path + ")"; }

}  // namespace bpfwarden::test
