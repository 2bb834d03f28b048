// SPDX-License-Identifier: Apache-2.0
// BPF_OBJ_GET_INFO_BY_FD of a program or link for another process: the lists and names that the information points to
// go there as well.
#pragma once

#include <linux/bpf.h>

#include <cstdint>

#include "base/result.hpp"
#include "wire/caller_memory.hpp"

namespace bpfwarden::intercept {

// `attr` as the caller gave it, at `address` of its memory. 0 or -errno, as bpf(2).
Result<int> object_info(int object, const bpf_attr& attr, std::uint64_t address, const wire::CallerMemory& caller);

}  // namespace bpfwarden::intercept
