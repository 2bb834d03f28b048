// SPDX-License-Identifier: Apache-2.0
// What is judged is a copy of what was asked for, and what is done is what was judged: whatever the caller's other
// threads do to it meanwhile.
#include <fcntl.h>

#include <filesystem>

#include "supervised.hpp"

#include "raw.hpp"

namespace bpfwarden::test {

namespace {

std::string times() { return std::getenv("BPFWARDEN_SOAK") != nullptr ? "1000000" : emulated() ? "1000" : "10000"; }

long files_of(pid_t pid) {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
    return std::distance(begin(all), end(all));
}

// What the act says, and whether the worker has more files open than before.
std::string race(const Daemon& daemon, const Start& start) {
    Running command(start);
    if (command.read_line() != "ready") return "not ready: " + command.wait().text();
    const pid_t worker = daemon.worker();
    const long before = files_of(worker);
    command.write("go\n");
    auto said = command.read_line();
    // Stand-ins are made in advance, some dozens of them.
    if (!eventually([&] { return files_of(worker) < before + 100; }))
        said += ", files of the worker: " + std::to_string(files_of(worker) - before) + " more";
    command.write("go\n");
    const auto ended = command.wait();
    return ended.exited(0) ? said : said + "\n" + ended.text();
}

constexpr const char* nothing_got_through = "made, refused, other errors: 0, got through: 0";

}  // namespace

TEST(Races, AttributesThatChange) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(race(daemon, supervised(daemon, "filters", {"race-type", times()})), nothing_got_through);
    // The control: who looks where the caller can write is deceived.
    EXPECT_EQ(act_of_root(daemon, {"race-naive"}), "deceived");
}

TEST(Races, InstructionsThatChange) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(race(daemon, supervised(daemon, "filters", {"race-code", times()})), nothing_got_through);
}

TEST(Races, FileDescriptorsThatChange) {
    Daemon daemon({{"filters", filter_rights}});
    const int foreign = ::fcntl(raw::create_map(), F_DUPFD_CLOEXEC, 300);
    const auto number = std::to_string(foreign);
    auto start = supervised(daemon, "filters", {"race-fd", times(), number}, {"--keep-fd", number});
    start.in_child = [foreign, before = start.in_child] {
        ::fcntl(foreign, F_SETFD, 0);
        before();
    };
    EXPECT_EQ(race(daemon, start), nothing_got_through);
    ::close(foreign);
}

}  // namespace bpfwarden::test
