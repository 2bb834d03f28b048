// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by ptrace_access_check(PTRACE_MODE_ATTACH) at the open.
#include <fcntl.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/guardian.hpp"

namespace bpfwarden::test {

static constexpr char name[] = "taken-over";
static bool has_another_name(const Place&) { return about_guardian("cmdline").starts_with(name); }

static int act(const Place&) {
    const auto path = "/proc/" + std::to_string(guardian()) + "/mem";
    const int memory = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    return memory < 0 ? errno : status_of(::pwrite(memory, name, sizeof name, guardians_arguments()));
}
static const Registered vector{"guardian_mem",
                               {.what = "the guard's memory is written to by /proc/PID/mem",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = has_another_name,
                                .guardian = true}};

}  // namespace bpfwarden::test
