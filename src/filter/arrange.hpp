// SPDX-License-Identifier: Apache-2.0
// The order in which a residual looks at words, and at the values of one word.
#pragma once

#include "filter/graph.hpp"
#include "filter/search.hpp"

namespace bpfwarden::filter {

// The same function in fewer executed instructions, as far as can be said without knowing the arguments.
Block arrange(Graph& graph, Block root, const SearchEffort& effort);

}  // namespace bpfwarden::filter
