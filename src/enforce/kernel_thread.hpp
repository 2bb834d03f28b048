// SPDX-License-Identifier: Apache-2.0
// Has a thread of the kernel do something (bpf/kernel_links.bpf.c). The only file that sees the skeleton.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.hpp"
#include "shared/kernel_links.h"

namespace bpfwarden::enforce {

// By who may change what is sealed; `guard`: where the guard's tables are pinned. `batch` is its own answer then, and
// has offsets in `bytes`. What it has begun it ends, whatever becomes of the caller.
Result<> have_done_in_kernel(const std::string& guard, bw_batch& batch, std::span<const std::byte> bytes = {});

}  // namespace bpfwarden::enforce
