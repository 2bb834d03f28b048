// SPDX-License-Identifier: Apache-2.0
// A lookup in a map whose contents are known, with a key that may not be: what it finds, and when.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "filter/machine.hpp"

namespace bpfwarden::filter {

// The first whose condition holds is what the lookup returns; the last always holds.
struct Found {
    Condition condition;
    Value value;
};

// bpf_map_lookup_elem(r1, r2).
Result<std::vector<Found>> look_up(const bytecode::Program& program, Terms& terms, Reasoner& reasoner, Machine& machine,
                                   const State& state);

// bpfw_has() and bpfw_get() say what they were given, where it is wider than the keys, in r3, and in r4 that they do:
// the number is BPFW_WIDER_KEY_ of bpfwarden/seccomp_filter.h. Nothing: it is not cut, or nobody said.
std::optional<Term> what_is_cut(const bytecode::Program& program, Terms& terms, Reasoner& reasoner, const State& state);

}  // namespace bpfwarden::filter
