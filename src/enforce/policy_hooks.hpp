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
    std::uint64_t ops;      // needed where a domain has a rule or default about one of these
    // Not on every kernel: others have no such operation, or another of these hooks sees it there.
    bool optional = false;
    // "by path": the other of two programs, for kernels where struct file has its path in a union.
    bool by_path = false;
    std::uint32_t kinds =
        0;  // needed where files are known by one of these (1 << BW_PIN_*); neither ops nor kinds: always
};

// What a policy asks of the programs.
struct PolicyNeeds {
    std::uint64_t ops = 0;
    std::uint32_t kinds = 0;  // 1 << BW_PIN_*
};
bool is_needed(const PolicyHook& hook, const PolicyNeeds& needs);
std::span<const PolicyHook> policy_hooks();

}  // namespace bpfwarden::enforce
