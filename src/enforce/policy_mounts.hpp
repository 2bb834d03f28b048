// SPDX-License-Identifier: Apache-2.0
// Where each superblock is mounted in this mount namespace, for the kernel's programs: what names begin with.
#pragma once

#include <cstddef>
#include <span>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::enforce {

class ForcedImage;

struct WrittenMounts {
    std::size_t named = 0;
    bool different = false;  // from what stood there
};
// Soundness: a superblock's number is another's as soon as it is gone. Each mount is held open while it is written
// down, and from then on the program at sb_delete takes the number out again before it can be given anew.
Result<WrittenMounts> write_mounts(FdRef mounted, std::span<const ForcedImage* const> images);

}  // namespace bpfwarden::enforce
