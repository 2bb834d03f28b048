// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by nothing: the kernel signals without task_kill. The attacker keeps it from all others.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/eventually.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

// All but the first process, which is sent nothing, and threads of the kernel, which nobody traces.
static std::vector<pid_t> trace_all_others() {
    const pid_t its = guardian();
    std::vector<pid_t> traced;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const pid_t pid = std::atoi(entry.path().filename().c_str());
        if (pid > 1 && pid != ::getpid() && pid != its && ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0)
            traced.push_back(pid);
    }
    return traced;
}

static int act(const Place&) {
    ::signal(SIGTERM, SIG_IGN);
    const auto others = trace_all_others();
    const int status = write_switch("/proc/sysrq-trigger", "e");
    for (const pid_t pid : others)
        if (eventually(std::chrono::seconds(5), [&] { return ::waitpid(pid, nullptr, __WALL | WNOHANG) == pid; }))
            ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
    if (status) return status;
    return guardian_ends(std::chrono::seconds(5));
}
static const Registered vector{"guardian_sysrq_term",
                               {.what = "all processes are told to end (sysrq e), the guard's among them",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = guardian_is_gone,
                                .guardian = true,
                                .not_held = "no hook sees signals of the kernel's own"}};

}  // namespace bpfwarden::test
