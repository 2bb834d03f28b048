// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The program runs in the first mount namespace, with all capabilities, and in no domain. Its
// acts are seen as anybody's.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/helper.hpp"

namespace bpfwarden::test {

static constexpr const char* setting = "/proc/sys/kernel/core_pattern";
static int act(const Place& at) {
    write_helper(at);
    if (const int status = write_switch(setting, "|" + helper_program)) return status;
    if (const pid_t child = ::fork(); child == 0) {
        const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
        ::setrlimit(RLIMIT_CORE, &unlimited);
        ::signal(SIGSEGV, SIG_DFL);
        ::raise(SIGSEGV);
        ::_exit(0);
    } else {
        ::waitpid(child, nullptr, 0);
    }
    return helper_has_run();
}
static void as_before() { (void)write_switch(setting, "core"); }
static const Registered vector{
    "core_pattern",
    {.what = "a program that the kernel starts for a core dump removes the pins (kernel.core_pattern)",
     .act = act,
     .clean_up = as_before}};

}  // namespace bpfwarden::test
