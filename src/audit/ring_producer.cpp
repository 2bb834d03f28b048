// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstring>

#include "audit/record.hpp"
#include "audit/ring.hpp"

namespace bpfwarden::audit {

Result<RingProducer> RingProducer::attach(FdRef memory, UniqueFd wakeup) {
    auto ring = BW_TRY(RingMapping::map(memory));
    if (ring.header().head.load(std::memory_order_relaxed) != 0 ||
        ring.header().lost.load(std::memory_order_relaxed) != 0)
        return fail(Code::bad_input, "this audit ring has had a producer");
    return RingProducer(std::move(ring), std::move(wakeup));
}

bool RingProducer::has_room(std::size_t size) {
    const auto used = [&] { return head_ - tail_; };
    if (used() + size <= ring_.capacity()) return true;
    // Acquire: the consumer has copied what is behind its tail before it is written over.
    tail_ = ring_.header().tail.load(std::memory_order_acquire);
    return used() <= ring_.capacity() && used() + size <= ring_.capacity();
}

// Called after each store that a sleeping consumer would want to know of. Against needs_wakeup this is the other half
// of prepare_to_sleep(): each side stores its own word, fences, then loads the other's. In the one total order of the
// two fences either ours comes first, and the consumer's look at head after its fence sees our record, so it does not
// sleep; or the consumer's comes first, and we see needs_wakeup and write the eventfd. It cannot happen that both miss.
void RingProducer::wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    auto& flag = ring_.header().needs_wakeup;
    if (flag.load(std::memory_order_relaxed) == 0 || flag.exchange(0, std::memory_order_relaxed) == 0) return;
    const std::uint64_t one = 1;
    // EAGAIN would mean that the counter is at its end: then it is readable, which is all that matters.
    [[maybe_unused]] const auto written = ::write(wakeup_.get(), &one, sizeof one);
}

bool RingProducer::write(std::span<const std::byte> record) {
    const RecordHeader header{sequence_++, record.size()};
    const std::size_t size = record_span(record.size());
    if (record.empty() || record.size() > max_record || !has_room(size)) {
        ring_.header().lost.store(++lost_, std::memory_order_release);
        wake();
        return false;
    }
    std::byte* to = ring_.at(head_);
    std::memcpy(to, &header, sizeof header);
    std::memcpy(to + sizeof header, record.data(), record.size());
    head_ += size;
    // From this store on the record is the consumer's, whatever becomes of this process; before, it is nothing.
    ring_.header().head.store(head_, std::memory_order_release);
    wake();
    return true;
}

}  // namespace bpfwarden::audit
