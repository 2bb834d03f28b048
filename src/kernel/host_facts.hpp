// SPDX-License-Identifier: Apache-2.0
// The facts that are read rather than tried.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/host_view.hpp"
#include "kernel/probe.hpp"

namespace bpfwarden::kernel {

// host_facts_bpf.cpp
Finding fact_vmlinux_btf(HostView& host);
Finding fact_module_btf(HostView& host);
// Does this release know every name of this kind that the kernel has?
Finding fact_names(HostView& host, NameKind kind);
// The same, for names that are given. A line for each unknown command.
Finding compare_names(std::string how, NameKind kind, std::span<const NamedValue> running);

// host_facts_bpffs.cpp
struct BpffsMount {
    std::string path;
    mode_t mode = 0;        // of the root directory; 0 if `hidden` is not empty
    std::string hidden;     // why the mode is not known: another mount is on top, or the path cannot be reached
    std::string delegated;  // the delegate_* options as the kernel shows them, or nothing
};
std::vector<BpffsMount> bpffs_mounts(const std::vector<MountEntry>& table);
// "rw,mode=700,delegate_cmds=map_create" -> "delegate_cmds=map_create"
std::string delegation_options(std::string_view super_options);
Finding fact_world_writable_bpffs(HostView& host);
Finding fact_delegating_bpffs(HostView& host);
// Where a user without privilege may pin: tried as such a user, so the whole path and access lists count.
Finding fact_pinnable_bpffs(HostView& host);

// host_facts_cgroup.cpp
Finding fact_cgroup2(HostView& host);
Finding fact_cgroup_controllers(HostView& host);
Finding fact_cgroup_nsdelegate(HostView& host);
Finding fact_cgroup1(HostView& host);

// host_facts_security.cpp
Finding fact_lsm_order(HostView& host);
Finding fact_selinux(HostView& host);
Finding fact_apparmor(HostView& host);
Finding fact_lockdown(HostView& host);
Finding fact_ima(HostView& host);
Finding fact_fsverity(HostView& host);
Finding fact_module_signing(HostView& host);
Finding fact_trusted_keyring(HostView& host);
Finding fact_kernel_config(HostView& host);
// "none [integrity] confidentiality" -> "integrity"
std::string_view parse_lockdown(std::string_view text);

// host_facts_sysctl.cpp
struct Meaning {
    std::string_view value, text;
};
// Present when the kernel has the parameter; the detail is its value, with what that value means.
Finding fact_sysctl(std::string_view name, std::initializer_list<Meaning> meanings, std::string_view when_missing);
Finding fact_max_user_namespaces();
Finding fact_ftrace_enabled();

}  // namespace bpfwarden::kernel
