// SPDX-License-Identifier: Apache-2.0
#include "client/fork_epoch.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace bpfwarden::client {

// A page that the kernel empties in a child (4.14). A comparison of pids would take a child that is 1 in a new pid
// namespace for its parent that is 1 in the old one, and costs a system call.
static std::atomic<std::uint64_t>* wiped_page() {
    using Epoch = std::atomic<std::uint64_t>;
    static Epoch* const page = []() -> Epoch* {
        const int before = errno;
        void* address = ::mmap(nullptr, sizeof(Epoch), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (address == MAP_FAILED || ::madvise(address, sizeof(Epoch), MADV_WIPEONFORK) != 0) address = nullptr;
        errno = before;
        return static_cast<Epoch*>(address);  // all zero is an Epoch of 0
    }();
    return page;
}

std::uint64_t fork_epoch() {
    static std::atomic<std::uint64_t> last{0};
    auto* page = wiped_page();
    if (page == nullptr) return static_cast<std::uint64_t>(::getpid());
    auto epoch = page->load(std::memory_order_acquire);
    if (epoch != 0) return epoch;
    const auto next = last.fetch_add(1) + 1;
    // Another thread may have been first: then its number holds.
    return page->compare_exchange_strong(epoch, next) ? next : epoch;
}

}  // namespace bpfwarden::client
