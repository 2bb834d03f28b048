// SPDX-License-Identifier: Apache-2.0
// Feature probes: each tries the feature, or reads what the kernel says of itself; none compares versions. They leave
// nothing behind and attach nothing beyond the call. Whatever needs another namespace or credentials happens in a
// forked child. Without the privilege to try, the answer is "unknown", with the reason.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::kernel {

enum class Presence { present, absent, unknown };

struct Finding {
    Presence state = Presence::unknown;
    std::string how;     // how it was found out: "tried: …", "read /proc/…", "the kernel's BTF"
    std::string detail;  // what was seen

    bool present() const { return state == Presence::present; }
};

inline Finding is_present(std::string how, std::string detail) {
    return {Presence::present, std::move(how), std::move(detail)};
}
inline Finding is_absent(std::string how, std::string detail) {
    return {Presence::absent, std::move(how), std::move(detail)};
}
inline Finding is_unknown(std::string how, std::string detail) {
    return {Presence::unknown, std::move(how), std::move(detail)};
}
// For a probe that was refused or that failed in an unforeseen way.
Finding from_error(std::string how, const Error& error);
// "EPERM", or "errno 999".
std::string errno_name(int err);

class HostView;  // host_view.hpp: what several probes read, read once

// probe_token.cpp
Finding probe_bpf();
Finding probe_mount_api();
// Does this kernel have BPF tokens (6.9)? At most 1 ms and no fork: `run` asks before it starts a command. Works for
// any user.
Finding probe_token();
// Makes a token in a child and uses it: needs CAP_SYS_ADMIN; a few ms.
struct TokenTrial {
    Finding works;  // what was delegated works, its twin that was not is refused
    Finding info;   // the token describes itself (bpf_token_info, 6.17)
};
TokenTrial try_token();

// probe_userns.cpp
Finding probe_user_namespaces();         // by this process
Finding probe_nobody_user_namespaces();  // by a user without any privilege, with capabilities that count inside

// probe_process.cpp
Finding probe_openat2();
Finding probe_peer_pidfd();
Finding probe_pidfd_thread();
Finding probe_pidfd_getfd();
Finding probe_clone_into_cgroup(HostView& host);

// probe_seccomp.cpp
struct NotifierTrial {
    Finding filter;         // a filter without privilege
    Finding notifier;       // SECCOMP_RET_USER_NOTIF with a listener, 5.0
    Finding addfd;          // SECCOMP_IOCTL_NOTIF_ADDFD, 5.9
    Finding addfd_send;     // SECCOMP_ADDFD_FLAG_SEND, 5.14
    Finding wait_killable;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 5.19
};
NotifierTrial try_notifier();

// probe_lsm.cpp
struct LsmList {
    std::vector<std::string> names;  // in the order in which they are asked
    std::string how;
};
std::vector<std::string> parse_lsm_list(std::string_view text);
// The active security modules: from securityfs, mounted or not, else lsm_list_modules(2) (6.8).
Result<LsmList> active_lsms();
// A file of securityfs; for root also where it is not mounted.
Result<std::string> read_securityfs(const char* name);
bool securityfs_has(const char* name);
Finding lsm_finding(const LsmList& list);
// What the boot line's lsm= must be for these and BPF LSM, which is asked last.
std::string boot_list_with_bpf(const std::vector<std::string>& active);
// Is BPF LSM among the active ones? Without root, and in well under 1 ms.
Finding probe_lsm_active();
Finding probe_lsm_built_in(HostView& host);
// Attaches a counting program to a quiet hook for a moment, and sees whether it ran.
Finding probe_lsm_works(HostView& host);

// probe_program.cpp
// Every function of `names` is a kfunc of this kernel.
Finding probe_kfuncs(HostView& host, const std::vector<std::string_view>& names);
Finding probe_preempt_disable(HostView& host);
Finding probe_arena();
Finding probe_cgroup_sysctl();
// Which program types load, each tried by libbpf.
Finding probe_program_types();

// probe_tools.cpp
Finding probe_libbpf();
Finding probe_bpftool();

}  // namespace bpfwarden::kernel
