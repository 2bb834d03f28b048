// SPDX-License-Identifier: Apache-2.0
// session_cost GRANT [ROUNDS]: what calls cost through a session of GRANT, beside the same bpf(2) calls by root
// directly. One process does both in turn, a batch each, in an order that is reversed every round. What a batch made is
// closed after it, outside of the clock, and its first calls are left out: they wake processors and fill caches. A line
// a sample: STEP SIDE ROUND NANOSECONDS. `root_again` is the same as root, and shows how far apart two equal sides come
// out; `hop` is a process that does what it is told, with a message there and an fd back and no check at all: what any
// broker costs on this machine.
//
// Steps: map_create; prog_load (cgroup_skb, 2 instructions); link_create (to a cgroup of this program's own);
// prog_load_large (10,000 instructions); lookup (of a map element, which never passes the broker); open (a session,
// no other side).
#include <bpfwarden/bpfwarden.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernel/mount.hpp"
#include "turns.hpp"

namespace bpfwarden::bench {
namespace {

constexpr std::array sides{"root", "hop", "session", "root_again"};
constexpr std::size_t hop_side = 1, session_side = 2;

struct Bench {
    bpfw_session* session = nullptr;
    int cgroup = -1;
    std::vector<bpf_insn> small, large;

    int call(std::size_t side, int command, bpf_attr& attr, unsigned size) const {
        return side == session_side ? ::bpfw_bpf(session, command, &attr, size)
                                    : static_cast<int>(::syscall(SYS_bpf, command, &attr, size));
    }
    int map(std::size_t side) const {
        bpf_attr attr{};
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        attr.key_size = 4;
        attr.value_size = 8;
        attr.max_entries = 1;
        return call(side, BPF_MAP_CREATE, attr, sizeof attr);
    }
    int load(std::size_t side, const std::vector<bpf_insn>& code) const {
        bpf_attr attr{};
        attr.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
        attr.expected_attach_type = BPF_CGROUP_INET_EGRESS;
        attr.insns = reinterpret_cast<std::uint64_t>(code.data());
        attr.insn_cnt = static_cast<std::uint32_t>(code.size());
        attr.license = reinterpret_cast<std::uint64_t>("GPL");
        return call(side, BPF_PROG_LOAD, attr, sizeof attr);
    }
    int link(std::size_t side, int program) const {
        bpf_attr attr{};
        attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
        attr.link_create.target_fd = static_cast<std::uint32_t>(cgroup);
        attr.link_create.attach_type = BPF_CGROUP_INET_EGRESS;
        return call(side, BPF_LINK_CREATE, attr, sizeof attr);
    }
};

std::vector<bpf_insn> program(std::size_t length) {
    std::vector<bpf_insn> code(length - 1,
                               {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1});
    code.push_back({.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0});
    return code;
}

// ---- the bare transport

enum class Task : char { map, load, large, link };

void send_fd(int socket, int fd) {
    char byte[160] = {};  // about what an answer has
    iovec part{byte, sizeof byte};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    (void)!::sendmsg(socket, &message, 0);
}
int receive_fd(int socket) {
    char byte[160];
    iovec part{byte, sizeof byte};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    int fd = -1;
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) < 0 || CMSG_FIRSTHDR(&message) == nullptr) return -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

// In a child, which has the programs in its memory as well: until the socket closes.
void serve(const Bench& bench, int socket) {
    const int program = bench.load(0, bench.small);
    char request[256];
    while (::recv(socket, request, sizeof request, 0) > 0) {
        const auto task = static_cast<Task>(request[0]);
        const int fd = task == Task::map     ? bench.map(0)
                       : task == Task::load  ? bench.load(0, bench.small)
                       : task == Task::large ? bench.load(0, bench.large)
                                             : bench.link(0, program);
        send_fd(socket, fd);
        ::close(fd);
    }
}

// A batch; what it made is closed after the clock was read for the last time.
template <class Act>
bool sample(const char* step, std::size_t side, int round, int batch, Act act) {
    constexpr int first = 4;
    std::vector<int> made;
    bool good = true;
    for (int i = 0; good && i < first + batch; ++i) {
        const auto start = now();
        const int fd = act();
        const auto end = now();
        good = fd >= 0;
        if (!good)
            fmt::print(stderr, "session_cost: {} by {}: {} {}\n", step, sides[side], std::strerror(errno),
                       side == session_side ? ::bpfw_error() : "");
        else if (i >= first)
            fmt::print("{} {} {} {}\n", step, sides[side], round, end - start);
        if (fd > 0) made.push_back(fd);
    }
    for (const int fd : made) ::close(fd);
    // The worker lets go of the real things when it is told that their stand-ins were closed.
    ::usleep(1000);
    return good;
}

bool measure(Bench& bench, int rounds) {
    constexpr int batch = 16;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
    const pid_t server = ::fork();
    if (server == 0) {
        ::close(ends[0]);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(bench, ends[1]);
        ::_exit(0);
    }
    ::close(ends[1]);
    const auto hop = [&](Task task) {
        char request[256] = {static_cast<char>(task)};
        (void)!::send(ends[0], request, sizeof request, 0);
        return receive_fd(ends[0]);
    };
    std::array<int, sides.size()> maps{}, programs{};
    for (std::size_t side = 0; side < sides.size(); ++side) {
        maps[side] = bench.map(side);
        programs[side] = bench.load(side, bench.small);
    }
    bool good = true;
    for (int round = 0; good && round < rounds; ++round)
        for (std::size_t turn = 0; good && turn < sides.size(); ++turn) {
            const std::size_t side = round % 2 == 0 ? turn : sides.size() - 1 - turn;
            const auto step = [&](const char* name, int size, Task task, auto direct) {
                return sample(name, side, round, size, [&] { return side == hop_side ? hop(task) : direct(); });
            };
            good = step("map_create", batch, Task::map, [&] { return bench.map(side); }) &&
                   step("prog_load", batch, Task::load, [&] { return bench.load(side, bench.small); }) &&
                   step("link_create", batch, Task::link, [&] { return bench.link(side, programs[side]); }) &&
                   (round % 4 != 0 ||
                    step("prog_load_large", 1, Task::large, [&] { return bench.load(side, bench.large); }));
            if (!good || side == hop_side) continue;
            good = sample("lookup", side, round, batch, [&] {
                std::uint32_t key = 0;
                std::uint64_t value = 0;
                bpf_attr attr{};
                attr.map_fd = static_cast<std::uint32_t>(maps[side]);
                attr.key = reinterpret_cast<std::uint64_t>(&key);
                attr.value = reinterpret_cast<std::uint64_t>(&value);
                return bench.call(side, BPF_MAP_LOOKUP_ELEM, attr, sizeof attr);
            });
        }
    ::close(ends[0]);
    ::waitpid(server, nullptr, 0);
    return good;
}

int main(int argc, char** argv) {
    int rounds = 100;
    if (argc < 2 || (argc > 2 && std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), rounds).ec != std::errc{})) {
        fmt::print(stderr, "usage: session_cost GRANT [ROUNDS]\n");
        return 2;
    }
    Bench bench;
    bench.small = program(2);
    bench.large = program(10'000);
    const auto mounts = kernel::mount_table();
    std::string root;
    if (mounts)
        for (const auto& mount : *mounts)
            if (mount.file_system == "cgroup2" && mount.root == "/") root = mount.path;
    const auto path = root + "/bpfwarden-bench-" + std::to_string(::getpid());
    if (root.empty() || ::mkdir(path.c_str(), 0755) != 0) {
        fmt::print(stderr, "session_cost: no control group can be made\n");
        return 1;
    }
    bench.cgroup = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = bench.cgroup >= 0;
    for (int round = 0; good && round < rounds / 10; ++round) {
        const auto start = now();
        auto* session = ::bpfw_open(argv[1]);
        const auto end = now();
        good = session != nullptr;
        if (good) fmt::print("open session {} {}\n", round, end - start);
        ::bpfw_close(session);
    }
    if (good) bench.session = ::bpfw_open(argv[1]);
    good = bench.session != nullptr && measure(bench, rounds);
    if (bench.session == nullptr) fmt::print(stderr, "session_cost: {}\n", ::bpfw_error());
    ::bpfw_close(bench.session);
    for (int i = 0; i < 100 && ::rmdir(path.c_str()) != 0; ++i) ::usleep(20'000);
    return good ? 0 : 1;
}

}  // namespace
}  // namespace bpfwarden::bench

int main(int argc, char** argv) { return bpfwarden::bench::main(argc, argv); }
