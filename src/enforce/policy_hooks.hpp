// SPDX-License-Identifier: Apache-2.0
// Which program of policy.bpf.o is for what: a hook that no rule needs costs nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace bpfwarden::enforce {

struct PolicyHook {
    std::string_view program;
    std::string_view hook;  // of the kernel: bpf_lsm_HOOK
    std::uint64_t ops;      // needed where a domain has a rule or default about one of these; 0: always
    // Not on every kernel: others have no such operation, or another of these hooks sees it there.
    bool optional = false;
    // "by path": the other of two programs, for kernels where struct file has its path in a union.
    bool by_path = false;
};
std::span<const PolicyHook> policy_hooks();

}  // namespace bpfwarden::enforce
