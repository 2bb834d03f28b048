// SPDX-License-Identifier: Apache-2.0
// More audited opens than anybody can write down: each is in the log, or counted as lost there.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "audit/event.hpp"
#include "audit/reader.hpp"
#include "vm/policy_guest.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

const std::string audited = open_place + "audited", silent = open_place + "file", log_folder = room + "log/";

bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }

// How often it has opened the file in this time is left in a file.
int open_for_a_time(const Words& words) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(std::stoi(words.at(1)));
    std::uint64_t opens = 0;
    while (std::chrono::steady_clock::now() < end)
        for (int i = 0; i < 16; ++i, ++opens) {
            const int fd = ::open(words.at(0).c_str(), O_RDONLY);
            if (fd < 0) return errno;
            ::close(fd);
        }
    write_file(words.at(2), std::to_string(opens));
    return 0;
}

// On all processors.
std::uint64_t opens_of(const std::string& path, int milliseconds) {
    std::vector<std::pair<pid_t, std::string>> openers;
    for (long i = 0; i < ::sysconf(_SC_NPROCESSORS_ONLN); ++i) {
        const auto count = room + "opens" + std::to_string(i);
        openers.emplace_back(start(actor, open_for_a_time, {path, std::to_string(milliseconds), count}), count);
    }
    std::uint64_t opens = 0;
    for (const auto& [pid, count] : openers) {
        EXPECT_EQ(wait_for(pid), 0);
        opens += std::strtoull(text_of(count).c_str(), nullptr, 10);
        fs::remove(count);
    }
    return opens;
}

struct Written {
    std::uint64_t opens = 0, lost = 0;
    bool operator==(const Written&) const = default;
};
Written written() {
    Written all;
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(log_folder)) files.push_back(entry.path());
    for (const auto& file : files) {
        auto reader = audit::Reader::open(file);
        if (!reader) continue;
        while (auto item = reader->next())
            if (const auto* event = std::get_if<audit::Event>(&*item)) {
                all.opens += event->kind == "policy" && event->text("hook") == "file_open" &&
                             event->text("target.path") == audited;
                if (event->kind == "gap" && event->text("where") == "others")
                    all.lost += event->number("lost").value_or(0);
            }
    }
    return all;
}

class PolicyRate : public PolicyGuest {};

TEST_F(PolicyRate, EachAuditedOpenIsWrittenDownOrCounted) {
    BW_IN_ONE_GUEST("lts");
    apply(usual_rules + "[[rule]]\nname = \"told\"\ndomains = [\"actor\"]\naudit = [\"read\"]\npaths = [\"" + audited +
          "\"]\n");
    write_file(audited, "text\n");
    fs::create_directories(log_folder);
    // What cases before this one have lost is told first.
    const auto before = force().status()->counts.lost_others;
    let_others_change();
    const pid_t guard = ::fork();
    if (guard == 0) {
        ::execl("/bpfwarden/bin/bpfwarden-guard", "bpfwarden-guard", "--run", (room + "run").c_str(), "--audit",
                (log_folder + "policy.jsonl").c_str(), "--policies", (room + "none").c_str(), nullptr);
        ::_exit(127);
    }
    const auto wait_until = [](auto holds) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (!holds(written()) && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
    };
    wait_until([&](const Written& now) { return now.lost >= before; });
    const int milliseconds = soak() ? 60'000 : 1000;
    const auto without = opens_of(silent, milliseconds);
    const auto opens = opens_of(audited, milliseconds);
    // A loss is told when it is certain; what waits is written meanwhile.
    wait_until([&](const Written& now) { return now.opens + now.lost >= opens + before; });
    ::kill(guard, SIGTERM);
    EXPECT_EQ(wait_for(guard), 0);
    auto found = written();
    found.lost -= before;
    EXPECT_EQ(found.opens + found.lost, opens) << found.opens << " written down, " << found.lost << " counted as lost";
    EXPECT_GT(found.opens, 1000U);
    const auto a_second = [&](std::uint64_t count) { return count * 1000 / static_cast<std::uint64_t>(milliseconds); };
    std::cout << a_second(opens) << " audited opens a second (" << a_second(without) << " that are not), "
              << 100.0 * static_cast<double>(found.lost) / static_cast<double>(opens) << " % lost and counted\n";
    fs::remove_all(log_folder);
    apply(usual_rules);
}

}  // namespace

}  // namespace bpfwarden::test
