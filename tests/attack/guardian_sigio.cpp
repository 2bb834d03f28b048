// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by file_send_sigiotask(9), in whatever process makes the file readable; task_kill is not
// asked.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    int ends[2];
    if (const int status =
            steps([&] { return ::pipe(ends); }, [&] { return ::fcntl(ends[0], F_SETOWN, guardian()); },
                  [&] { return ::fcntl(ends[0], F_SETSIG, SIGKILL); },
                  [&] { return ::fcntl(ends[0], F_SETFL, O_ASYNC); }, [&] { return ::write(ends[1], "x", 1); }))
        return status;
    // Nobody is told whether it was sent, and a process takes a moment to end.
    return guardian_ends(std::chrono::seconds(1)) == 0 ? 0 : EPERM;
}
static const Registered vector{
    "guardian_sigio",
    {.what = "SIGKILL for the guard's process as what a pipe sends when it becomes readable (F_SETSIG)",
     .act = act,
     .loses = Loses::other,
     .achieved = guardian_is_gone,
     .guardian = true}};

}  // namespace bpfwarden::test
