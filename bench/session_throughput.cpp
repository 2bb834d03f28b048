// SPDX-License-Identifier: Apache-2.0
// session_throughput GRANT [CALLS]: how many calls a second go through sessions of GRANT when one client makes them,
// when two do, and so on up to the number of processors. Each client is a process with a session of its own, and makes
// CALLS maps, each of which it closes. The numbers of clients take turns, three times. A line a sample: CLIENTS ROUND
// CALLS_PER_SECOND.
#include <bpfwarden/bpfwarden.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

namespace bpfwarden::bench {
namespace {

double now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

bool make_maps(bpfw_session* session, int count) {
    for (int i = 0; i < count; ++i) {
        bpf_attr attr{};
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        attr.key_size = 4;
        attr.value_size = 8;
        attr.max_entries = 1;
        const int map = ::bpfw_bpf(session, BPF_MAP_CREATE, &attr, sizeof attr);
        if (map < 0) return false;
        ::close(map);
    }
    return true;
}

// A client: is ready when it has said so, begins when `start` closes, and has done it all when it exits with 0.
[[noreturn]] void be_client(const char* grant, int calls, int ready, int start) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto* session = ::bpfw_open(grant);
    if (session == nullptr || !make_maps(session, 16)) {
        fmt::print(stderr, "session_throughput: {}\n", ::bpfw_error());
        ::_exit(1);
    }
    (void)!::write(ready, "r", 1);
    pollfd go{start, 0, 0};
    (void)::poll(&go, 1, -1);
    const bool good = make_maps(session, calls);
    if (!good) fmt::print(stderr, "session_throughput: {}\n", ::bpfw_error());
    ::_exit(good ? 0 : 1);
}

// Calls per second of all clients together; negative: it went wrong.
double run(const char* grant, int clients, int calls) {
    int ready[2], start[2];
    if (::pipe(ready) != 0 || ::pipe(start) != 0) return -1;
    std::vector<pid_t> all;
    for (int i = 0; i < clients; ++i) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::close(start[1]);
            ::close(ready[0]);
            be_client(grant, calls, ready[1], start[0]);
        }
        all.push_back(pid);
    }
    ::close(ready[1]);
    ::close(start[0]);
    int waiting = clients;
    char byte = 0;
    while (waiting > 0 && ::read(ready[0], &byte, 1) == 1) --waiting;
    const double began = now();
    ::close(start[1]);
    bool good = waiting == 0;
    for (const pid_t pid : all) {
        int status = 0;
        good &= ::waitpid(pid, &status, 0) == pid && status == 0;
    }
    const double took = now() - began;
    ::close(ready[0]);
    return good ? clients * calls / took : -1;
}

int main(int argc, char** argv) {
    int calls = 4000;
    if (argc < 2 || (argc > 2 && std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), calls).ec != std::errc{})) {
        fmt::print(stderr, "usage: session_throughput GRANT [CALLS]\n");
        return 2;
    }
    cpu_set_t usable;
    CPU_ZERO(&usable);
    ::sched_getaffinity(0, sizeof usable, &usable);
    const int most = CPU_COUNT(&usable);
    for (int round = 0; round < 3; ++round)
        for (int clients = 1; clients <= most; ++clients) {
            const double rate = run(argv[1], clients, calls);
            if (rate < 0) return 1;
            fmt::print("{} {} {:.0f}\n", clients, round, rate);
        }
    return 0;
}

}  // namespace
}  // namespace bpfwarden::bench

int main(int argc, char** argv) { return bpfwarden::bench::main(argc, argv); }
