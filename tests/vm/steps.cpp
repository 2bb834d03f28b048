// SPDX-License-Identifier: Apache-2.0
#include "vm/steps.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <map>

#include <bpf/bpf.h>

namespace bpfwarden::test {
namespace {

const std::map<unsigned, const char*> commands{{BPF_MAP_CREATE, "MAP_CREATE"},
                                               {BPF_MAP_UPDATE_ELEM, "MAP_UPDATE_ELEM"},
                                               {BPF_MAP_DELETE_ELEM, "MAP_DELETE_ELEM"},
                                               {BPF_PROG_LOAD, "PROG_LOAD"},
                                               {BPF_OBJ_PIN, "OBJ_PIN"},
                                               {BPF_MAP_FREEZE, "MAP_FREEZE"},
                                               {BPF_LINK_CREATE, "LINK_CREATE"},
                                               {BPF_RAW_TRACEPOINT_OPEN, "RAW_TRACEPOINT_OPEN"},
                                               {BPF_PROG_ATTACH, "PROG_ATTACH"},
                                               {BPF_PROG_DETACH, "PROG_DETACH"},
                                               {BPF_PROG_TEST_RUN, "PROG_RUN"}};
const std::map<long, const char*> calls{
    {SYS_rename, "rename"},       {SYS_unlink, "unlink"}, {SYS_unlinkat, "unlinkat"}, {SYS_rmdir, "rmdir"},
    {SYS_mkdir, "mkdir"},         {SYS_write, "write"},   {SYS_fsync, "fsync"},       {SYS_chmod, "chmod"},
    {SYS_ftruncate, "ftruncate"}, {SYS_mount, "mount"},   {SYS_umount2, "umount"},    {SYS_move_mount, "move_mount"}};

constexpr unsigned of_argument(unsigned number) {
    return static_cast<unsigned>(offsetof(seccomp_data, args)) + 8 * number;  // its low half
}

// Only these calls stop: a program makes a thousand others, and a stop is slow in a guest.
bool stop_at_steps() {
    std::vector<sock_filter> code;
    const auto load = [&](unsigned offset) { code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); };
    const auto answer = [&](unsigned action) { code.push_back(BPF_STMT(BPF_RET | BPF_K, action)); };
    const auto stop_if = [&](unsigned short test, unsigned value) {
        code.push_back(BPF_JUMP(static_cast<unsigned short>(BPF_JMP | test | BPF_K), value, 0, 1));
        answer(SECCOMP_RET_TRACE);
    };
    load(offsetof(seccomp_data, nr));
    for (const auto& [number, name] : calls) stop_if(BPF_JEQ, static_cast<unsigned>(number));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4));
    load(of_argument(2));
    stop_if(BPF_JSET, O_CREAT);
    answer(SECCOMP_RET_ALLOW);
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 1, 0));
    answer(SECCOMP_RET_ALLOW);
    load(of_argument(0));
    for (const auto& [number, name] : commands) stop_if(BPF_JEQ, number);
    answer(SECCOMP_RET_ALLOW);
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// The name of a map that a process has a descriptor of.
std::string map_name(pid_t pid, unsigned fd) {
    std::ifstream lines("/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(fd));
    for (std::string word; lines >> word;)
        if (word == "map_id:") {
            unsigned id = 0;
            lines >> id;
            const int map = ::bpf_map_get_fd_by_id(id);
            bpf_map_info info{};
            unsigned size = sizeof info;
            const bool found = map >= 0 && ::bpf_map_get_info_by_fd(map, &info, &size) == 0;
            if (map >= 0) ::close(map);
            return found ? info.name : "?";
        }
    return "?";
}

Step describe(pid_t pid, const user_regs_struct& regs) {
    const auto number = static_cast<long>(regs.orig_rax);
    if (number == SYS_openat) return "open to create";
    if (number == SYS_write && regs.rdi <= 2) return said_step;
    if (number != SYS_bpf) return calls.at(number);
    const auto command = static_cast<unsigned>(regs.rdi);
    Step step = std::string("bpf ") + commands.at(command);
    if (command != BPF_MAP_UPDATE_ELEM && command != BPF_MAP_DELETE_ELEM) return step;
    unsigned fd = 0;
    iovec here{&fd, sizeof fd}, there{reinterpret_cast<void*>(regs.rsi), sizeof fd};
    if (::process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof fd) return step;
    return step + " " + map_name(pid, fd);
}

}  // namespace

Stepped run_in_steps(const std::vector<std::string>& words,
                     const std::function<AtStep(std::size_t, const Step&)>& decide) {
    Stepped run;
    const int said = ::memfd_create("said", MFD_CLOEXEC);
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(said, 1);
        ::dup2(said, 2);
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        if (!stop_at_steps()) ::_exit(125);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
    ::ptrace(PTRACE_CONT, pid, nullptr, nullptr);
    while (::waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        int deliver = 0;
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
            user_regs_struct regs{};
            ::ptrace(PTRACE_GETREGS, pid, nullptr, &regs);
            run.steps.push_back(describe(pid, regs));
            const auto action = decide(run.steps.size() - 1, run.steps.back());
            if (action == AtStep::kill) ::kill(pid, SIGKILL);
            if (action == AtStep::fail) {
                regs.orig_rax = ~0ULL;
                regs.rax = static_cast<unsigned long long>(-ENOMEM);
                ::ptrace(PTRACE_SETREGS, pid, nullptr, &regs);
            }
        } else if (WSTOPSIG(status) != SIGTRAP) {
            deliver = WSTOPSIG(status);
        }
        ::ptrace(PTRACE_CONT, pid, nullptr, deliver);
    }
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    char buffer[4096];
    ::lseek(said, 0, SEEK_SET);
    for (ssize_t n; (n = ::read(said, buffer, sizeof buffer)) > 0;)
        run.output.append(buffer, static_cast<std::size_t>(n));
    ::close(said);
    return run;
}

}  // namespace bpfwarden::test
