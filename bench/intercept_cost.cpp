// SPDX-License-Identifier: Apache-2.0
// intercept_cost SIDE ROUND [allow_all|bare]: what calls cost a program that makes them as any program does. Whoever
// starts it decides what answers them: the kernel, or under `bpfwarden run --via intercept` a session's worker.
// `allow_all` puts a filter before them that allows everything; `bare` one whose listener does what is asked for with
// no check at all: what anybody who answers costs on this machine. A line a sample, or a batch of quick calls: STEP
// SIDE ROUND NANOSECONDS.
//
// Steps: map_create; prog_load (socket_filter, 2 instructions); prog_load_large (10,000 instructions); getppid and read
// (of nothing), which no filter of ours is asked about.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "turns.hpp"

namespace bpfwarden::bench {
namespace {

struct Sample {
    const char* step;
    const char* side;
    const char* round;
};

void say(const Sample& sample, double ns) {
    fmt::print("{} {} {} {:.1f}\n", sample.step, sample.side, sample.round, ns);
}

int call(int command, bpf_attr& attr) { return static_cast<int>(::syscall(SYS_bpf, command, &attr, sizeof attr)); }

int create_map() {
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 1;
    return call(BPF_MAP_CREATE, attr);
}

int load(const std::vector<bpf_insn>& code) {
    bpf_attr attr{};
    attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attr.insns = reinterpret_cast<std::uint64_t>(code.data());
    attr.insn_cnt = static_cast<std::uint32_t>(code.size());
    attr.license = reinterpret_cast<std::uint64_t>("GPL");
    return call(BPF_PROG_LOAD, attr);
}

std::vector<bpf_insn> program(std::size_t length) {
    std::vector<bpf_insn> code(length - 1,
                               {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1});
    code.push_back({.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0});
    return code;
}

// The first calls wake processors and fill caches: they are left out. What is made is closed outside of the clock.
template <class Act>
bool each(Sample sample, int count, Act act) {
    constexpr int first = 4;
    for (int i = 0; i < first + count; ++i) {
        const auto start = now();
        const int fd = act();
        const auto end = now();
        if (fd < 0) {
            fmt::print(stderr, "intercept_cost: {} by {}: {}\n", sample.step, sample.side, std::strerror(errno));
            return false;
        }
        ::close(fd);
        if (i >= first) say(sample, static_cast<double>(end - start));
    }
    return true;
}

template <class Act>
void quick(Sample sample, Act act) {
    constexpr int calls = 20'000;
    const auto start = now();
    for (int i = 0; i < calls; ++i) act();
    say(sample, static_cast<double>(now() - start) / calls);
}

// The listener, if there is one; -1: it cannot be installed.
int install(std::span<sock_filter> code, unsigned flags) {
    const sock_fprog filter{.len = static_cast<unsigned short>(code.size()), .filter = code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter));
}

bool allow_everything() {
    sock_filter code[] = {{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW}};
    return install(code, 0) == 0;
}

// ---- an answerer that checks nothing

bool read_from(const seccomp_notif& asked, int listener, std::uint64_t from, void* to, std::size_t size) {
    const iovec here{to, size}, there{reinterpret_cast<void*>(from), size};
    return ::process_vm_readv(static_cast<pid_t>(asked.pid), &here, 1, &there, 1, 0) >= 0 &&
           ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked.id) == 0;
}

void answer_all(int listener) {
    static bpf_insn code[10'000];
    static const char licence[] = "GPL";
    for (;;) {
        seccomp_notif asked{};
        if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
            if (errno == EINTR || errno == ENOENT) continue;
            return;
        }
        bpf_attr attr{};
        const auto size = std::min<std::size_t>(asked.data.args[2], sizeof attr);
        bool good = read_from(asked, listener, asked.data.args[1], &attr, size);
        if (good && asked.data.args[0] == BPF_PROG_LOAD) {
            const auto length = std::min<std::size_t>(attr.insn_cnt * sizeof code[0], sizeof code);
            good = read_from(asked, listener, attr.insns, code, length);
            attr.insns = reinterpret_cast<std::uint64_t>(code);
            attr.license = reinterpret_cast<std::uint64_t>(licence);
        }
        const int fd = good ? call(static_cast<int>(asked.data.args[0]), attr) : -1;
        seccomp_notif_addfd given{.id = asked.id,
                                  .flags = SECCOMP_ADDFD_FLAG_SEND,
                                  .srcfd = static_cast<__u32>(fd),
                                  .newfd = 0,
                                  .newfd_flags = 0};
        seccomp_notif_resp refused{.id = asked.id, .val = 0, .error = -EPERM, .flags = 0};
        if (fd < 0 || ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given) < 0)
            ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &refused);
        ::close(fd);
    }
}

// By a child that is under no filter, and so takes the listener out of its parent.
bool be_answered() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    const pid_t parent = ::getpid();
    if (::fork() == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        int number = -1;
        (void)!::read(ends[0], &number, sizeof number);
        const auto process = static_cast<int>(::syscall(SYS_pidfd_open, parent, 0));
        answer_all(static_cast<int>(::syscall(SYS_pidfd_getfd, process, number, 0)));
        ::_exit(1);
    }
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const int listener = install(code, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    return listener >= 0 && ::write(ends[1], &listener, sizeof listener) == sizeof listener;
}

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: intercept_cost SIDE ROUND [allow_all|bare]\n");
        return 2;
    }
    if (argc > 3 && !(std::string_view(argv[3]) == "bare" ? be_answered() : allow_everything())) {
        fmt::print(stderr, "intercept_cost: no filter: {}\n", std::strerror(errno));
        return 1;
    }
    const auto step = [&](const char* name) { return Sample{name, argv[1], argv[2]}; };
    quick(step("getppid"), [] { ::syscall(SYS_getppid); });
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    char byte = 0;
    quick(step("read"), [&] { (void)!::read(nothing, &byte, 1); });
    const auto small = program(2), large = program(10'000);
    return each(step("map_create"), 100, create_map) && each(step("prog_load"), 50, [&] { return load(small); }) &&
                   each(step("prog_load_large"), 4, [&] { return load(large); })
               ? 0
               : 1;
}

}  // namespace
}  // namespace bpfwarden::bench

int main(int argc, char** argv) { return bpfwarden::bench::main(argc, argv); }
