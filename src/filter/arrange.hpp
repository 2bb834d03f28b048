// SPDX-License-Identifier: Apache-2.0
// The order in which a residual looks at words, and at the values of one word.
#pragma once

#include "filter/graph.hpp"
#include "filter/search.hpp"

namespace bpfwarden::filter {

// Adds `forks` over the values of one source; targets are indexes into `blocks`.
Block make_tests(Graph& graph, Source source, const Forks& forks, std::span<const Block> blocks);

// The same function in fewer executed instructions, as far as can be said without knowing the arguments.
Block arrange(Graph& graph, Block root, const SearchEffort& effort);

}  // namespace bpfwarden::filter
