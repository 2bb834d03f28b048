// SPDX-License-Identifier: Apache-2.0
// bpf(2) over a session.
#pragma once

#include <cstddef>

#include "client/session.hpp"

namespace bpfwarden::client {

// A command that goes through the session, or that nobody does; commands of Route::kernel are not for this. The call's
// result, or -errno.
Result<int> bpf(Session& session, unsigned command, void* attr, std::size_t size);

}  // namespace bpfwarden::client
