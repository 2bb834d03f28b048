// SPDX-License-Identifier: Apache-2.0
// filter_time PROFILE [ROUNDS]: how long a filter takes to build, and a system call under it.
//
// A process for each side has its filter first; then they take turns on one CPU, a batch each, in an order that is
// reversed every round, so that a drift of the machine hits all alike. A line a batch: `call CALL SIDE ROUND NS`, with
// the nanoseconds of one call. Before that, `build SIDE ROUND NS`: ours from the JSON to a program with its proof;
// libseccomp's from rules that are already read, by name, to the program that it exports. In a guest of the lab, where
// each instruction moves the clock by one nanosecond, the numbers are instructions.
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"
#include "filter_sides.hpp"
#include "kernel/process.hpp"
#include "kernel/seccomp_filter.hpp"
#include "turns.hpp"

namespace bpfwarden::bench {
namespace {

using Program = std::vector<sock_filter>;
constexpr int batch = 4000;

struct Call {
    const char* name;
    long number, argument;
};
// The first is always allowed, so that the kernel's cache answers; the second is allowed with this argument, and
// changes nothing.
constexpr Call calls[] = {{"getppid", SYS_getppid, 0}, {"personality", SYS_personality, 0xffffffff}};

Result<> serve(const kernel::Channel& channel, const Program& program) {
    if (!program.empty()) BW_TRY(kernel::install_filter(program));
    BW_TRY(channel.send("ready"));
    for (;;) {
        const auto message = channel.receive();
        if (!message) return {};
        const auto& call = *std::ranges::find(calls, message->text, &Call::name);
        const auto start = now();
        long failed = 0;
        for (int i = 0; i < batch; ++i) failed |= ::syscall(call.number, call.argument) < 0;
        const auto spent = now() - start;
        if (failed != 0) return fail_errno(call.name);
        BW_TRY(channel.send(fmt::format("{:.2f}", static_cast<double>(spent) / batch)));
    }
}

struct Worker {
    kernel::Channel channel;
    kernel::Child child;
    const char* side;
};

Result<Worker> start(const char* side, const Program& program) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.close();
        const auto done = serve(there, program);
        if (!done && !there.send_error(done.error())) return 2;
        return done ? 0 : 1;
    }));
    there.close();
    BW_TRY_WITHIN(here.receive(), std::string("preparing ") + side);
    return Worker{std::move(here), std::move(child), side};
}

constexpr int warm_up = 2;

Result<> measure_builds(const std::string& profile, const filter::libseccomp::Rules& rules, int rounds) {
    for (int round = -warm_up; round < rounds; ++round) {
        const auto begin = now();
        const auto source = BW_TRY(filter::read_source(profile, only_x86_64()));
        const auto built = BW_TRY(filter::build(source, filter::newest_kernel, {.weights = {}, .require_proof = true}));
        const auto ours = now();
        const auto tree = BW_TRY(of_libseccomp(rules, 2));
        const auto theirs = now();
        const auto list = BW_TRY(of_libseccomp(rules, 1));
        const auto last = now();
        if (round < 0) continue;
        fmt::print("build ours {0} {1}\nbuild libseccomp_tree {0} {2}\nbuild libseccomp {0} {3}\n", round, ours - begin,
                   theirs - ours, last - theirs);
    }
    return {};
}

Result<> measure(const std::string& path, int rounds) {
    const auto profile = BW_TRY(contents(path));
    const auto rules = filter::libseccomp::rules_of(profile, {});
    BW_TRY(pin());
    before_others();
    BW_TRY(measure_builds(profile, rules, std::min(rounds, 50)));
    const auto source = BW_TRY(filter::read_source(profile, only_x86_64()));
    const auto ours = BW_TRY(filter::build(source, filter::newest_kernel));
    const Program allow_all{BPF_STMT(BPF_RET | BPF_K, filter::allow)};
    std::vector<Worker> workers;
    workers.push_back(BW_TRY(start("none", {})));
    workers.push_back(BW_TRY(start("allow_all", allow_all)));
    workers.push_back(BW_TRY(start("ours", ours.program)));
    workers.push_back(BW_TRY(start("libseccomp", BW_TRY(of_libseccomp(rules, 1)))));
    workers.push_back(BW_TRY(start("libseccomp_tree", BW_TRY(of_libseccomp(rules, 2)))));
    std::vector<const Worker*> order;
    for (const auto& worker : workers) order.push_back(&worker);
    for (int round = -warm_up; round < rounds; ++round) {
        for (const auto& call : calls)
            for (const auto* worker : order) {
                BW_TRY(worker->channel.send(call.name));
                const auto spent = BW_TRY_WITHIN(worker->channel.receive(), std::string("side ") + worker->side);
                if (round >= 0) fmt::print("call {} {} {} {}\n", call.name, worker->side, round, spent.text);
            }
        std::ranges::reverse(order);
    }
    return {};
}

}  // namespace
}  // namespace bpfwarden::bench

int main(int argc, char** argv) {
    int rounds = 200;
    bool good = argc == 2 || argc == 3;
    if (argc == 3) {
        const std::string_view text = argv[2];
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
        good = error == std::errc{} && end == text.data() + text.size() && rounds > 0;
    }
    if (!good) {
        std::fputs("usage: filter_time PROFILE [ROUNDS]\n", stderr);
        return 2;
    }
    const auto done = bpfwarden::bench::measure(argv[1], rounds);
    if (done) return 0;
    fmt::print(stderr, "{}\n", done.error().text("filter_time"));
    return 1;
}
