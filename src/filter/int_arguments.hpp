// SPDX-License-Identifier: Apache-2.0
// Where a filter hangs on the upper half of an argument that the kernel drops: comparing 64 bits of an int.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "filter/function.hpp"
#include "filter/numbers.hpp"
#include "filter/warning.hpp"

namespace bpfwarden::filter {

// Of every system call of these ABIs. `met_at` says where in the source a condition stands.
std::vector<Warning> warn_of_ints(const Function& function, std::span<const Abi> abis, Kernel kernel,
                                  const std::unordered_map<std::uint32_t, std::string>& met_at);

}  // namespace bpfwarden::filter
