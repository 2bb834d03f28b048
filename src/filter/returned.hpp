// SPDX-License-Identifier: Apache-2.0
// A value that a filter returns, as decisions between actions.
#pragma once

#include "base/result.hpp"
#include "filter/function.hpp"
#include "filter/reason.hpp"

namespace bpfwarden::filter {

// Refused where it may be no action, or where which action it is cannot be told.
Result<Node> returned(Decisions& decisions, Reasoner& reasoner, const Facts& facts, Term value);

}  // namespace bpfwarden::filter
