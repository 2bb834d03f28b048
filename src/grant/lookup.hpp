// SPDX-License-Identifier: Apache-2.0
// The values that a list of [allow] can hold: found by name, listed, and explained when there is no such thing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grant/grant.hpp"
#include "kernel/names.hpp"

namespace bpfwarden::grant {

// The kernel's list behind a dimension; nothing for kfuncs, capabilities and verifier features.
std::optional<kernel::NameKind> name_kind(Dimension dimension);
// Every value known today, in the kernel's order; nothing for kfuncs, which every kernel and module has its own of.
std::vector<std::string_view> all_values(Dimension dimension);
// The value by its proper name ("BPF_PROG_TYPE_XDP" -> "xdp", "prog_test_run" -> "prog_run", "CAP_BPF" -> "bpf").
std::optional<std::string> look_up(Dimension dimension, std::string_view name);
// Why `entry` is no value of this kind, and what is nearest to it.
void explain_unknown(Dimension dimension, const Entry& entry, Diagnostics& diagnostics);
// The same as words: {what, why, hint}.
struct Unknown {
    std::string what, why, hint;
};
Unknown describe_unknown(Dimension dimension, std::string_view name);

}  // namespace bpfwarden::grant
