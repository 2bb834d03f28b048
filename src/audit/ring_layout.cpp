// SPDX-License-Identifier: Apache-2.0
#include "audit/ring_layout.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <utility>

namespace bpfwarden::audit {

static constexpr int needed_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// Soundness: without F_SEAL_SHRINK the other side could cut the file off, and reading the mapping would be SIGBUS. The
// seals are checked before the size: once sealed, the size stays what fstat says.
Result<RingMapping> RingMapping::map(FdRef memory) {
    const int seals = ::fcntl(memory.get(), F_GET_SEALS);
    if (seals < 0) return fail_errno("reading the seals of an audit ring");
    if ((seals & needed_seals) != needed_seals) return fail(Code::bad_input, "an audit ring can be resized");
    struct stat status{};
    if (::fstat(memory.get(), &status) != 0) return fail_errno("fstat of an audit ring");
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size < ring_header_size + min_ring || size > ring_header_size + max_ring ||
        !std::has_single_bit(size - ring_header_size))
        return fail(Code::bad_input, "an audit ring has no possible size");
    const std::size_t capacity = size - ring_header_size;

    void* reserved = ::mmap(nullptr, size + capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) return fail_errno("mmap for an audit ring");
    RingMapping mapping(static_cast<std::byte*>(reserved), capacity);
    constexpr int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;
    if (::mmap(reserved, size, protection, flags, memory.get(), 0) == MAP_FAILED ||
        ::mmap(mapping.base_ + size, capacity, protection, flags, memory.get(), ring_header_size) == MAP_FAILED)
        return fail_errno("mmap of an audit ring");
    if (mapping.header().magic != ring_magic || mapping.header().capacity != capacity)
        return fail(Code::bad_input, "this is no audit ring");
    return mapping;
}

RingMapping::RingMapping(RingMapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), capacity_(other.capacity_) {}

RingMapping& RingMapping::operator=(RingMapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(capacity_, other.capacity_);
    return *this;
}

RingMapping::~RingMapping() {
    if (base_ != nullptr) ::munmap(base_, ring_header_size + 2 * capacity_);
}

}  // namespace bpfwarden::audit
