// SPDX-License-Identifier: Apache-2.0
// Which arguments of system calls the kernel takes as 32 bits: it drops the upper half, which a filter sees.
#pragma once

#include <string_view>

namespace bpfwarden::filter {

// An int or unsigned int, on an ABI with 64-bit registers. Calls that the table lacks have none.
bool is_int_argument(std::string_view call, unsigned argument);

}  // namespace bpfwarden::filter
