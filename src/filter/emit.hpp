// SPDX-License-Identifier: Apache-2.0
// A graph as instructions: their order, their jumps, and which loads are needed.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "base/result.hpp"
#include "filter/graph.hpp"

namespace bpfwarden::filter {

std::vector<sock_filter> emit(const Graph& graph, Block root);

}  // namespace bpfwarden::filter
