// SPDX-License-Identifier: Apache-2.0
// What is not wrong with policies and still unlikely to be meant: rules that decide nothing, patterns that nothing
// meets, domains that nobody is in. All are warnings.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "policy/link.hpp"

namespace bpfwarden::policy {

// Where a path leads that is a symbolic link on this machine; nothing for all others. Without one, links are not looked
// for.
using LinkOf = std::function<std::optional<std::string>(const std::string&)>;

// Of policies without errors.
void lint(std::span<const Policy> policies, const LinkOf& link_of, Diagnostics& diagnostics);

}  // namespace bpfwarden::policy
