// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_ring.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace bpfwarden::enforce {

static std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

Result<PolicyRing> PolicyRing::open(MapFd fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_map_get_info_by_fd(fd.get(), &info, &size)) return fail_errno("cannot read about the ring of events");
    if (info.type != BPF_MAP_TYPE_RINGBUF) return fail(Code::failed, "what is pinned as a ring of events is none");
    PolicyRing ring;
    ring.size_ = info.max_entries;
    void* consumer = ::mmap(nullptr, page(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (consumer == MAP_FAILED) return fail_errno("cannot map the ring of events");
    ring.consumer_ = static_cast<std::uint64_t*>(consumer);
    void* producer =
        ::mmap(nullptr, page() + 2 * ring.size_, PROT_READ, MAP_SHARED, fd.get(), static_cast<off_t>(page()));
    if (producer == MAP_FAILED) return fail_errno("cannot map the ring of events");
    ring.producer_ = static_cast<const std::byte*>(producer);
    ring.fd_ = std::move(fd);
    ring.position_ = __atomic_load_n(ring.consumer_, __ATOMIC_ACQUIRE);
    return ring;
}

PolicyRing::PolicyRing(PolicyRing&& other) noexcept
    : fd_(std::move(other.fd_)),
      consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)),
      size_(other.size_),
      position_(other.position_) {}

PolicyRing& PolicyRing::operator=(PolicyRing&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(consumer_, other.consumer_);
    std::swap(producer_, other.producer_);
    std::swap(size_, other.size_);
    std::swap(position_, other.position_);
    return *this;
}

PolicyRing::~PolicyRing() {
    if (consumer_) ::munmap(consumer_, page());
    if (producer_) ::munmap(const_cast<std::byte*>(producer_), page() + 2 * size_);
}

std::optional<std::span<const std::byte>> PolicyRing::next() {
    for (;;) {
        const auto end = __atomic_load_n(reinterpret_cast<const std::uint64_t*>(producer_), __ATOMIC_ACQUIRE);
        if (position_ >= end) return std::nullopt;
        const auto* record = producer_ + page() + (position_ & (size_ - 1));
        const auto header = __atomic_load_n(reinterpret_cast<const std::uint32_t*>(record), __ATOMIC_ACQUIRE);
        if (header & BPF_RINGBUF_BUSY_BIT) return std::nullopt;
        const std::uint64_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        const auto whole = (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
        // The kernel wrote the length; one that cannot be would make everything after it unreadable.
        if (whole > end - position_) {
            position_ = end;
            return std::span(record, 0);
        }
        position_ += whole;
        if (!(header & BPF_RINGBUF_DISCARD_BIT)) return std::span(record + BPF_RINGBUF_HDR_SZ, length);
    }
}

void PolicyRing::release() { __atomic_store_n(consumer_, position_, __ATOMIC_RELEASE); }

void PolicyRing::skip_to(std::uint64_t position) {
    const auto end = __atomic_load_n(reinterpret_cast<const std::uint64_t*>(producer_), __ATOMIC_ACQUIRE);
    if (position <= position_ || position > end) return;
    position_ = position;
    release();
}

}  // namespace bpfwarden::enforce
