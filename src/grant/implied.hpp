// SPDX-License-Identifier: Apache-2.0
// What a grant allows without saying so, because what it says would be worth nothing otherwise.
#pragma once

#include <optional>

#include "grant/resolve.hpp"

namespace bpfwarden::grant {

// Adds the implied values to `grant` and works out its commands. `narrowed` holds the commands as written, if they
// were.
void add_implied(Resolved& grant, const std::optional<Allowed>& narrowed, Diagnostics& diagnostics);

}  // namespace bpfwarden::grant
