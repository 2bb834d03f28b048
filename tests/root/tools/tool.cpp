// SPDX-License-Identifier: Apache-2.0
#include "root/tools/tool.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <utility>

namespace bpfwarden::test {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

// Packages that are only unpacked, for guests.
const std::string unpacked = "/bpfwarden/debian";

int status_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::chrono::seconds patience() { return std::chrono::seconds(emulated() ? 90 : 30); }

std::string find_tool(const std::string& name) {
    for (const auto& folder :
         {std::string("/usr/sbin/"), std::string("/usr/bin/"), unpacked + "/usr/sbin/", unpacked + "/usr/bin/"})
        if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
    return "";
}

std::string example_grant(const std::string& name) {
    std::string folder = BPFWARDEN_SOURCE "/examples/grants/";
    if (emulated()) folder = "/bpfwarden/grants/";
    std::ifstream file(folder + name + ".toml");
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_FALSE(text.str().empty()) << "no grant " << folder << name << ".toml";
    return text.str();
}

std::string without(std::string grant, const std::string& entry) {
    const auto written = '"' + entry + '"';
    // With a comma, where there is one.
    for (const auto& form : {written + ", ", written + ",\n", ", " + written, written})
        if (const auto at = grant.find(form); at != std::string::npos) {
            grant.erase(at, form.size());
            return grant;
        }
    ADD_FAILURE() << "the grant has no entry " << written;
    return grant;
}

std::string beside(const std::string& path) {
    return fs::read_symlink("/proc/self/exe").parent_path() / "../.." / path;
}
std::string helper(const std::string& name) { return beside("tests/helpers/" + name); }

std::string for_others(const Daemon& daemon, const std::string& file) {
    const auto copy = daemon.directory() + "/" + fs::path(file).filename().string();
    fs::copy_file(file, copy);
    fs::permissions(copy, fs::perms(0755));
    return copy;
}

Running::Running(uid_t uid, const Words& command) {
    const int program = ::open(command.front().c_str(), O_PATH);
    EXPECT_GE(program, 0) << command.front();
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::setenv("LD_LIBRARY_PATH", (unpacked + "/usr/lib/x86_64-linux-gnu").c_str(), 1);
        // What else bpftrace does instead takes a privilege: it asks for the kernel's types by number.
        ::setenv("BPFTRACE_BTF", "/sys/kernel/btf/vmlinux", 1);
        ::setenv("TERM", "dumb", 1);
        if (::chdir("/") != 0) ::_exit(119);
        if (uid != 0 &&
            (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0))
            ::_exit(120);
        std::vector<char*> argv;
        for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        // A checkout may be where others have no way to.
        ::fexecve(program, argv.data(), environ);
        ::_exit(127);
    }
    ::close(program);
}

Running Running::under_grant(const std::string& grant, const Words& command, bool map_root) {
    Words words{beside("bin/bpfwarden"), "run", "--grant", grant};
    if (map_root) words.push_back("--map-root");
    words.push_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return Running(nobody, words);
}

Running::Running(Running&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      terminal_(std::exchange(other.terminal_, -1)),
      said_(std::move(other.said_)) {}

Running::~Running() {
    if (terminal_ >= 0) ::close(terminal_);
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Running::read(int milliseconds) {
    pollfd ready{terminal_, POLLIN, 0};
    char buffer[4096];
    while (::poll(&ready, 1, milliseconds) > 0) {
        const auto n = ::read(terminal_, buffer, sizeof buffer);
        if (n <= 0) return false;
        said_.append(buffer, static_cast<std::size_t>(n));
        milliseconds = 0;
    }
    return true;
}

bool Running::says(const std::string& pattern, const std::function<void()>& cause, std::chrono::milliseconds within) {
    const std::regex wanted(pattern);
    for (const auto end = Clock::now() + within; Clock::now() < end;) {
        if (cause) cause();
        const bool goes_on = read(200);
        if (std::regex_search(said_, wanted)) return true;
        if (!goes_on) return false;
    }
    return false;
}

std::optional<int> Running::ended() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = 0;
    (void)read(0);
    return status_of(status);
}

int Running::interrupt() {
    for (const auto end = Clock::now() + patience(); Clock::now() < end;) {
        const char key = 3;
        (void)!::write(terminal_, &key, 1);
        for (int i = 0; i < 10; ++i) {
            (void)read(100);
            if (const auto status = ended()) return *status;
        }
    }
    return -1;
}

int Running::wait() {
    for (const auto end = Clock::now() + patience(); Clock::now() < end;) {
        (void)read(100);
        if (const auto status = ended()) return *status;
    }
    return -1;
}

}  // namespace bpfwarden::test
