// SPDX-License-Identifier: Apache-2.0
// Terms and conditions in words, for messages: "args[1] & 0x7 == 3", "nr < 63".
#pragma once

#include <string>

#include "filter/term.hpp"

namespace bpfwarden::filter {

// What is nested deeper than a reader follows is left out: "…".
std::string describe(const Terms& terms, Term term);
std::string describe(const Terms& terms, Condition condition);

}  // namespace bpfwarden::filter
