// SPDX-License-Identifier: Apache-2.0
// bpfwarden-guard where the seal looks for it, and its log.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "vm/guard_guest.hpp"

namespace bpfwarden::test {

inline const std::string audit_log = place + "log/policy.jsonl";

inline std::vector<nlohmann::json> logged(const std::string& kind) {
    std::vector<nlohmann::json> events;
    std::istringstream lines(text_of(audit_log));
    for (std::string line; std::getline(lines, line);) {
        auto event = nlohmann::json::parse(line, nullptr, false);
        if (event.is_object() && event.value("event", "") == kind) events.push_back(std::move(event));
    }
    return events;
}

class Daemon {
  public:
    // Returns when it serves.
    explicit Daemon(const std::string& runtime = "/run/bpfwarden")
        : said_(place + "said-of-" + std::to_string(++number)) {
        std::filesystem::create_directories(place + "no-policies");
        std::filesystem::remove(said_);
        pid_ = ::fork();
        if (pid_ == 0) {
            const int out = ::open(said_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            ::dup2(out, 2);
            ::execl("/bpfwarden/bin/bpfwarden-guard", "bpfwarden-guard", "--run", runtime.c_str(), "--audit",
                    audit_log.c_str(), "--policies", (place + "no-policies").c_str(), nullptr);
            ::_exit(127);
        }
        EXPECT_TRUE(eventually([&] { return said().contains("in force\n"); })) << said();
    }
    Daemon(const Daemon&) = delete;
    ~Daemon() {
        if (pid_ >= 0) {
            EXPECT_EQ(end(SIGTERM), 0) << said();
        }
    }
    int end(int signal) {
        int status = 0;
        ::kill(pid_, signal);
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    // Its end is somebody else's.
    void leave() { pid_ = -1; }
    bool runs() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }
    std::string said() const { return text_of(said_); }
    pid_t pid() const { return pid_; }

  private:
    static inline int number = 0;
    const std::string said_;
    pid_t pid_ = -1;
};

}  // namespace bpfwarden::test
