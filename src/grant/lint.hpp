// SPDX-License-Identifier: Apache-2.0
// What is wrong with a grant as a whole: dangers that it does not own up to (errors), and combinations that cannot mean
// what they say (warnings).
#pragma once

#include "grant/resolve.hpp"

namespace bpfwarden::grant {

void lint(const Resolved& grant, Diagnostics& diagnostics);

}  // namespace bpfwarden::grant
