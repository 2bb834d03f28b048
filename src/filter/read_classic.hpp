// SPDX-License-Identifier: Apache-2.0
// A classic BPF program as the function that it computes: every path is walked with symbols for the words it loads.
#pragma once

#include <linux/filter.h>

#include <span>

#include "base/result.hpp"
#include "filter/function.hpp"

namespace bpfwarden::filter {

// `program` must be one that the kernel takes (bytecode's check()). The function has no parts: the program looks at the
// architecture and the number itself. Fails where a returned value is not one of few, or the states are too many.
Result<Function> read_classic(std::span<const sock_filter> program);

}  // namespace bpfwarden::filter
