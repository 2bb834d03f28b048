// SPDX-License-Identifier: Apache-2.0
// The ways in: how a grantee's bpf() calls reach the kernel.
#pragma once

#include <span>
#include <string_view>

namespace bpfwarden::grant {

enum class Way {
    token,     // the program calls bpf() itself, with a kernel token
    session,   // it asks the broker, over a session it holds
    notifier,  // it calls bpf() itself, and the kernel asks its session's worker
};
inline constexpr Way all_ways[] = {Way::token, Way::session, Way::notifier};
std::string_view name_of(Way way);

}  // namespace bpfwarden::grant
