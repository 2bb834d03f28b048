// SPDX-License-Identifier: Apache-2.0
// Where things are pinned.
#pragma once

#include <string>

namespace bpfwarden::enforce {

// A tmpfs that nothing else is on, and on it the guard's own bpffs. The tmpfs is there to be private: what is done to
// copies of these mounts in other namespaces does not reach a mount whose parent passes nothing on.
inline constexpr const char* sealed_tmpfs = "/run/bpfwarden/sealed";
inline constexpr const char* sealed_bpffs = "/run/bpfwarden/sealed/bpf";
inline constexpr const char* sealed_guard = "/run/bpfwarden/sealed/bpf/guard";
inline constexpr const char* sealed_next = "/run/bpfwarden/sealed/bpf/next";  // of a guard that takes another's place
inline constexpr const char* sealed_policy = "/run/bpfwarden/sealed/bpf/policy";
inline constexpr const char* sealed_others = "/run/bpfwarden/sealed/bpf/others";  // pins of what is not ours

inline constexpr const char* unsealed_policy = "/sys/fs/bpf/bpfwarden/policy";

// Where the policy in force is, or will be.
std::string policy_pins();

}  // namespace bpfwarden::enforce
