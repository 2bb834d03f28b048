// SPDX-License-Identifier: Apache-2.0
// Values of 64 bits computed by a machine of 32: code for terms over A, X and scratch memory.
#pragma once

#include "base/result.hpp"
#include "filter/graph.hpp"

namespace bpfwarden::filter {

// Steps that leave the lower half of a term in A. Scratch words from `slots` on stay as they are.
Result<Steps> code_for(Terms& terms, Term term, unsigned slots);
// That leave 1 in A if the condition holds, else 0.
Result<Steps> code_for(Terms& terms, Condition condition, unsigned slots);

}  // namespace bpfwarden::filter
