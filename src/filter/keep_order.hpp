// SPDX-License-Identifier: Apache-2.0
// For what is too large to look at words in another order, or no tests of words alone.
#pragma once

#include "filter/graph.hpp"
#include "filter/search.hpp"

namespace bpfwarden::filter {

// The same function: tests of one word that follow each other become a search, all else stays where it is.
Block keep_order(Graph& graph, Block root, const SearchEffort& effort);

}  // namespace bpfwarden::filter
