// SPDX-License-Identifier: Apache-2.0
// The kernel's names for the numbers of bpf(): commands, map, program and attach types, helpers. Both ways, in the
// spelling of bpffs mount options: lower case, without the common prefix ("prog_load", "lpm_trie",
// "cgroup_inet_ingress", "map_lookup_elem").
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::kernel {

enum class NameKind { command, map_type, program_type, attach_type, helper };
inline constexpr NameKind all_name_kinds[] = {NameKind::command, NameKind::map_type, NameKind::program_type,
                                              NameKind::attach_type, NameKind::helper};
// "command", "map type", …
std::string_view describe(NameKind kind);

struct NamedValue {
    std::string name;
    std::uint32_t value = 0;
};

class Names {
  public:
    // The table compiled in: every name this release knows, whatever kernel runs. Pure.
    static const Names& known();
    // What the running kernel has, by its own word (/sys/kernel/btf/vmlinux, any kernel with BTF): may be more or less
    // than known().
    static Result<Names> of_running_kernel();

    std::optional<std::string_view> name(NameKind kind, std::uint32_t value) const;
    // Also accepts older spellings of the same value ("prog_test_run" for "prog_run") and the full enumerator, any
    // case.
    std::optional<std::uint32_t> value(NameKind kind, std::string_view name) const;
    // In order of value, each value once, without the kernel's *_UNSPEC zero of map and program types and helpers.
    std::span<const NamedValue> all(NameKind kind) const;
    // all() as one number with bit `value` set for each (values ≥ 64 have no bit: helpers only).
    std::uint64_t mask(NameKind kind) const;

  private:
    friend class NamesBuilder;
    std::vector<NamedValue> lists_[5];
    std::vector<NamedValue> aliases_[5];
};

}  // namespace bpfwarden::kernel
