// SPDX-License-Identifier: Apache-2.0
#include "attack/guardian.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "attack/acts.hpp"
#include "attack/eventually.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

static const std::string said_file = "/run/guardian.said";

Guardian::Guardian(const World& world, const std::vector<std::string>& by) : world_(world) {
    pid_ = world.start([&] {
        const int out = ::open(said_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        ::dup2(out, 2);
        std::vector<const char*> words{"/bpfwarden/bin/bpfwarden-guard", "--audit", guardians_log.c_str(), nullptr};
        for (std::size_t i = 0; i < by.size(); ++i)
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(i), by[i].c_str());
        ::execv(words[0], const_cast<char**>(words.data()));
        return 127;
    });
    serves_ = eventually(std::chrono::seconds(60), [&] { return said().contains("in force\n") || !runs(); }) && runs();
}

Guardian::~Guardian() {
    if (!runs()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Guardian::runs() {
    if (pid_ >= 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
    return pid_ >= 0;
}

int Guardian::end() {
    ::kill(pid_, SIGTERM);
    return wait_for(std::exchange(pid_, -1));
}

std::string Guardian::said() const { return text_of(world_.outer(said_file)); }

static bool has_name(const std::string& process) { return text_of(process + "/comm") == "bpfwarden-guard\n"; }

pid_t guardian() {
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const auto name = entry.path().filename().string();
        pid_t pid = -1;
        if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
        // One that has ended has no memory.
        if (has_name(entry.path()) && text_of(entry.path() / "status").contains("VmSize:")) return pid;
    }
    return -1;
}

std::string about_guardian(const char* file) { return text_of("/proc/" + std::to_string(guardian()) + "/" + file); }

off_t guardians_arguments() {
    // proc_pid_stat(5): the 48th field, 46 behind the name in brackets.
    std::istringstream fields(about_guardian("stat"));
    std::string field;
    std::getline(fields, field, ')');
    for (int i = 0; i < 46; ++i) fields >> field;
    return std::stol(field);
}

bool guardian_is_gone(const Place&) { return guardian() < 0; }

int guardian_ends(std::chrono::seconds time) {
    return eventually(time, [] { return guardian() < 0; }) ? 0 : ETIMEDOUT;
}

static const std::string cgroups = "/sys/fs/cgroup/", ours = cgroups + "attackers/";

bool guardian_is_in_our_cgroup(const Place&) { return about_guardian("cgroup").contains("/attackers\n"); }

int write_in_cgroup(const char* file, const char* text) { return write_switch(ours + file, text); }

int put_guardian_into_cgroup() {
    if (::mkdir(ours.c_str(), 0755)) return errno;
    return write_in_cgroup("cgroup.procs", std::to_string(guardian()).c_str());
}

int limit_guardian(const char* controller, const char* file, const char* text) {
    if (const int status = write_switch(cgroups + "cgroup.subtree_control", std::string("+") + controller))
        return status;
    if (const int status = put_guardian_into_cgroup()) return status;
    return write_in_cgroup(file, text);
}

void leave_cgroup() {
    (void)write_in_cgroup("cgroup.freeze", "0");
    std::ifstream members(ours + "cgroup.procs");
    for (std::string pid; std::getline(members, pid);) (void)write_switch(cgroups + "cgroup.procs", pid);
    // What was killed there is counted as its member for a moment more.
    (void)eventually(std::chrono::seconds(10), [] { return ::rmdir(ours.c_str()) == 0 || errno == ENOENT; });
    for (const char* controller : {"-cpu", "-memory", "-pids"})
        (void)write_switch(cgroups + "cgroup.subtree_control", controller);
}

}  // namespace bpfwarden::test
