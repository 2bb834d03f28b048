// SPDX-License-Identifier: Apache-2.0
// token_cost [ROUNDS]: what a map_create + prog_load + close costs through a token, beside the same as root directly.
//
// A process for each side is prepared first; then they take turns on one CPU, a batch each, in an order that is
// reversed every round, so that a drift of the machine hits all alike. All make the same calls with the same
// attributes, but for the token. A line a batch: PROGRAM SIDE ROUND, then nanoseconds a turn: map_create, prog_load,
// close, and all three.
//
// Root has CAP_PERFMON and so passes the verifier without the checks against speculation; a token's holder has it only
// if the grant says so. So root comes with and without it, and the token too: like is compared with like. `root_again`
// is the same as root, and shows how far apart two equal sides come out.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernel/capability.hpp"
#include "kernel/process.hpp"
#include "programs.hpp"
#include "token/launch.hpp"
#include "turns.hpp"

namespace bpfwarden::bench {
namespace {

constexpr std::uint64_t bit(unsigned number) { return 1ULL << number; }
constexpr kernel::CapabilityMask net_admin = bit(12), perfmon = bit(38), cap_bpf = bit(39);
// BPF_F_TOKEN_FD; spelled out because older uapi headers lack it.
constexpr std::uint32_t token_flag = bit(16);

struct Side {
    const char* name;
    bool token;
    bool perfmon;
};
constexpr std::array sides{Side{"root", false, true}, Side{"root_again", false, true}, Side{"token", true, true},
                           Side{"root_no_perfmon", false, false}, Side{"token_no_perfmon", true, false}};

struct Workload {
    const char* name;
    Code (*program)(int map);
    int turns;       // a batch: long enough that the clock is nothing, short enough that few are disturbed
    int rarely = 1;  // only every so many rounds
};
constexpr std::array workloads{Workload{"small", small_program, 20}, Workload{"large", large_program, 5},
                               Workload{"indexed", indexed_program, 1, 20}};

struct Spent {
    std::int64_t create = 0, load = 0, close = 0;
};

// No names: libbpf asks the kernel once whether it takes them, without a token, and would leave them out on one side.
Result<> turn(const Workload& work, int token, Spent& spent) {
    LIBBPF_OPTS(bpf_map_create_opts, map_opts);
    LIBBPF_OPTS(bpf_prog_load_opts, prog_opts);
    if (token >= 0) {
        map_opts.token_fd = prog_opts.token_fd = static_cast<std::uint32_t>(token);
        map_opts.map_flags = prog_opts.prog_flags = token_flag;
    }
    const auto start = now();
    const int map = ::bpf_map_create(BPF_MAP_TYPE_HASH, nullptr, 4, 4, 16, &map_opts);
    const auto created = now();
    if (map < 0) return fail_errno("map_create");
    const Code code = work.program(map);
    const auto ready = now();
    const int program = ::bpf_prog_load(BPF_PROG_TYPE_XDP, nullptr, "GPL", code.data(), code.size(), &prog_opts);
    const auto loaded = now();
    if (program < 0) return fail_errno("prog_load");
    ::close(program);
    ::close(map);
    const auto closed = now();
    spent.create += created - start;
    spent.load += loaded - ready;
    spent.close += closed - loaded;
    return {};
}

Result<int> prepare(const Side& side) {
    const kernel::CapabilityMask capabilities = cap_bpf | net_admin | (side.perfmon ? perfmon : 0);
    if (!side.token) {
        if (!side.perfmon) BW_TRY(kernel::keep_only(capabilities));
        return -1;
    }
    token::LaunchRequest request;
    request.delegation = {~0ULL, ~0ULL, ~0ULL, ~0ULL};
    request.capabilities = capabilities;
    request.ids.uid = request.ids.gid = 4711;  // nobody's
    request.private_network = false;           // not what is measured
    BW_TRY(token::enter(request));
    const int root = ::open(request.token_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return fail_errno("opening " + request.token_path);
    const int token = ::bpf_token_create(root, nullptr);
    if (token < 0) return fail_errno("token_create");
    ::close(root);
    return token;
}

// In the side's own process: a batch of the asked workload for each message, until there are no more.
Result<> serve(const kernel::Channel& channel, const Side& side) {
    const int token = BW_TRY(prepare(side));
    BW_TRY(channel.send("ready"));
    for (;;) {
        const auto message = channel.receive();
        if (!message) return {};
        const auto* work = std::ranges::find(workloads, message->text, &Workload::name);
        Spent spent;
        for (int i = 0; i < work->turns; ++i) BW_TRY(turn(*work, token, spent));
        // Closing leaves work to RCU and to kernel threads: let it be done before another side's clock runs.
        ::usleep(2000);
        BW_TRY(channel.send(fmt::format("{} {} {} {}", spent.create / work->turns, spent.load / work->turns,
                                        spent.close / work->turns,
                                        (spent.create + spent.load + spent.close) / work->turns)));
    }
}

struct Worker {
    kernel::Channel channel;
    kernel::Child child;
    const Side* side;
};

Result<Worker> start(const Side& side) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.close();
        const auto done = serve(there, side);
        // If nobody is there to be told, the exit status is left.
        if (!done && !there.send_error(done.error())) return 2;
        return done ? 0 : 1;
    }));
    there.close();
    BW_TRY_WITHIN(here.receive(), std::string("preparing ") + side.name);
    return Worker{std::move(here), std::move(child), &side};
}

Result<> measure(int rounds) {
    BW_TRY(pin());
    before_others();
    std::vector<Worker> workers;
    workers.reserve(sides.size());
    for (const auto& side : sides) workers.push_back(BW_TRY(start(side)));
    std::vector<const Worker*> order;
    order.reserve(workers.size());
    for (const auto& worker : workers) order.push_back(&worker);
    constexpr int warm_up = 5;
    for (const auto& work : workloads) {
        fmt::print("# {} {} instructions\n", work.name, work.program(0).size());
        for (int round = -warm_up; round < std::max(rounds / work.rarely, 1); ++round) {
            for (const auto* worker : order) {
                BW_TRY(worker->channel.send(work.name));
                const auto spent = BW_TRY_WITHIN(worker->channel.receive(), std::string("side ") + worker->side->name);
                if (round >= 0) fmt::print("{} {} {} {}\n", work.name, worker->side->name, round, spent.text);
            }
            std::ranges::reverse(order);
        }
    }
    return {};
}

}  // namespace
}  // namespace bpfwarden::bench

int main(int argc, char** argv) {
    int rounds = 300;
    if (argc > 1) {
        const std::string_view text = argv[1];
        const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), rounds);
        if (err != std::errc{} || end != text.data() + text.size() || rounds < 1 || argc > 2) {
            std::fputs("usage: token_cost [ROUNDS]\n", stderr);
            return 2;
        }
    }
    const auto done = bpfwarden::bench::measure(rounds);
    if (done) return 0;
    fmt::print(stderr, "{}\n", done.error().text("token_cost"));
    return static_cast<int>(done.error().code());
}
