// SPDX-License-Identifier: Apache-2.0
// start_cost [--first-line] ROUNDS NAME COMMAND… [--- NAME COMMAND…]…: how long commands take from spawn to end, or to
// the first line that they write to a terminal and are then ended by Ctrl-C; one after the other in each round, the
// order reversed every round. A line a run: NAME ROUND NANOSECONDS.
#include <fmt/format.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Command {
    const char* name = nullptr;
    std::vector<char*> argv;
};

std::int64_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

std::vector<Command> read_commands(std::span<char*> words) {
    std::vector<Command> commands(1);
    for (char* word : words) {
        if (std::string_view(word) == "---")
            commands.emplace_back();
        else if (commands.back().name == nullptr)
            commands.back().name = word;
        else
            commands.back().argv.push_back(word);
    }
    for (auto& command : commands) command.argv.push_back(nullptr);
    return commands;
}

// Nothing if it could not be started or did not end well: a time of a failure is no measurement.
std::optional<std::int64_t> run(const Command& command) {
    const auto start = now();
    pid_t pid = 0;
    if (const int err = ::posix_spawn(&pid, command.argv[0], nullptr, nullptr, command.argv.data(), environ)) {
        fmt::print(stderr, "start_cost: cannot start {}\n  {}\n", command.argv[0], std::strerror(err));
        return std::nullopt;
    }
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || status != 0) {
        fmt::print(stderr, "start_cost: {} failed\n  its wait status is {:#x}\n", command.name, status);
        return std::nullopt;
    }
    return now() - start;
}

// Until its first line; what it writes after that is read and dropped.
std::optional<std::int64_t> run_to_first_line(const Command& command) {
    const auto start = now();
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid == 0) {
        ::execv(command.argv[0], command.argv.data());
        ::_exit(127);
    }
    std::optional<std::int64_t> spent;
    std::string said;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(terminal, buffer, sizeof buffer)) > 0;) {
        if (spent) continue;
        said.append(buffer, static_cast<std::size_t>(n));
        if (!said.contains('\n')) continue;
        spent = now() - start;
        const char interrupt = 3;
        (void)!::write(terminal, &interrupt, 1);
    }
    ::close(terminal);
    int status = 0;
    ::waitpid(pid, &status, 0);
    // An error is a line too. Ctrl-C may have come before it was waited for.
    const bool well = WIFEXITED(status) ? WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 128 + SIGINT
                                        : WTERMSIG(status) == SIGINT;
    if (spent && well) return spent;
    fmt::print(stderr, "start_cost: {} failed\n  its wait status is {:#x}, and it said: {}\n", command.name, status,
               said);
    return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
    std::span words(argv, static_cast<std::size_t>(argc));
    const bool first_line = argc > 1 && std::string_view(argv[1]) == "--first-line";
    if (first_line) words = words.subspan(1);
    int rounds = 0;
    if (words.size() > 3) std::from_chars(words[1], words[1] + std::strlen(words[1]), rounds);
    if (rounds < 1) {
        std::fputs("usage: start_cost [--first-line] ROUNDS NAME COMMAND… [--- NAME COMMAND…]…\n", stderr);
        return 2;
    }
    auto commands = read_commands(words.subspan(2));
    for (const auto& command : commands)
        if (command.argv.size() < 2) return 2;
    // Best effort, and the same for all commands: it keeps other programs of the machine out of the way.
    (void)::setpriority(PRIO_PROCESS, 0, -10);
    constexpr int warm_up = 2;
    for (int round = -warm_up; round < rounds; ++round) {
        for (const auto& command : commands) {
            const auto spent = first_line ? run_to_first_line(command) : run(command);
            if (!spent) return 1;
            if (round >= 0) fmt::print("{} {} {}\n", command.name, round, *spent);
        }
        std::ranges::reverse(commands);
    }
    return 0;
}
