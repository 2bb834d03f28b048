// SPDX-License-Identifier: Apache-2.0
#include "guard/ways.hpp"

#include <algorithm>
#include <string_view>

#include "enforce/guard_object.hpp"

namespace bpfwarden::guard {

namespace {

// Closed by all of these; without any, by the core.
struct Closed {
    const char* what;
    std::vector<std::string_view> by;
};
const std::vector<Closed> closed{
    {"unmounting, moving or covering a sealed bpffs", {}},
    {"fds of what is sealed, detaching it, programs that overrule the guard", {}},
    {"kernel.ftrace_enabled", {}},
    {"removing, renaming or replacing pins and what they stand on", {"rest_unlink", "rest_rmdir", "rest_rename"}},
    {"remounting the bpffs", {"rest_remount"}},
    {"code and memory of the kernel: modules, kexec, hibernation, /dev/mem", {"rest_locked_down", "rest_read_file"}},
    {"tracing and signalling the guard's process",
     {"rest_ptrace", "rest_traceme", "rest_kill", "rest_sigio", "rest_perf"}},
    {"its limits, priority and scheduling", {"rest_limit", "rest_nice", "rest_scheduler", "rest_ioprio"}},
};

struct Open {
    const char *what, *why;
};
const std::vector<Open> open{
    {"ending the guard's process where no hook sees it: cgroup.kill, sysrq, want of memory",
     "what is in force needs no process, and attempts are told afterwards"},
    {"files that the next start reads", "a signed image, fs-verity"},
    {"another kernel, firmware, hardware", "signed boot, a locked boot loader"},
};

}  // namespace

std::vector<Way> ways(std::size_t core, const std::vector<std::string>& rest) {
    const bool whole = core >= enforce::core_size();
    std::vector<Way> all;
    for (const auto& one : closed) {
        const bool there =
            std::ranges::all_of(one.by, [&](auto name) { return std::ranges::find(rest, name) != rest.end(); });
        // The core keeps the pins that hold the others.
        all.push_back({one.what, whole && there, whole && there ? "" : "its programs are not attached"});
    }
    for (const auto& one : open) all.push_back({one.what, false, one.why});
    return all;
}

}  // namespace bpfwarden::guard
