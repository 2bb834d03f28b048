// SPDX-License-Identifier: Apache-2.0
// What is still decided by the number of a call, as ranges of numbers.
#pragma once

#include "filter/function.hpp"

namespace bpfwarden::filter {

// Conditions that compare the number itself with constants are decided by splitting runs where they change; so a filter
// that looks a number up in a set is, for every number, what a list of those numbers is. A run that would fall into
// very many pieces stays as it is.
void settle_numbers(Decisions& decisions, Part& part);

}  // namespace bpfwarden::filter
