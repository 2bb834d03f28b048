// SPDX-License-Identifier: Apache-2.0
#include "broker/ledger.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace bpfwarden::broker {

grant::Limit limit_of(Count count) {
    switch (count) {
        case Count::programs:
            return grant::Limit::programs;
        case Count::maps:
            return grant::Limit::maps;
        case Count::links:
            return grant::Limit::links;
        case Count::map_memory:
            return grant::Limit::map_memory;
    }
    return grant::Limit::programs;
}

// A size that cannot change: a page cut off under a mapping is SIGBUS.
static constexpr int counters_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<Counters> Counters::create() {
    UniqueFd memory(::memfd_create("bpfwarden-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return fail_errno("memfd_create");
    if (::ftruncate(memory.get(), sizeof(Shared)) != 0) return fail_errno("ftruncate");
    if (::fcntl(memory.get(), F_ADD_SEALS, counters_seals) != 0) return fail_errno("sealing counters");
    return map(std::move(memory));
}

Result<Counters> Counters::map(UniqueFd memory) {
    const int seals = ::fcntl(memory.get(), F_GET_SEALS);
    struct stat status{};
    if (seals < 0 || (seals & counters_seals) != counters_seals || ::fstat(memory.get(), &status) != 0 ||
        status.st_size != sizeof(Shared))
        return fail(Code::bad_input, "these are no counters");
    void* address = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (address == MAP_FAILED) return fail_errno("mapping counters");
    return Counters(std::move(memory), static_cast<Shared*>(address));
}

Counters::~Counters() {
    if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

static std::size_t index(Count count) { return static_cast<std::size_t>(count); }

std::uint64_t Counters::used(Count count) const { return shared_->used[index(count)].load(); }

bool Counters::take(Count count, std::uint64_t amount, std::uint64_t limit) {
    auto& counter = shared_->used[index(count)];
    auto now = counter.load();
    do {
        if (amount > limit || now > limit - amount) return false;
    } while (!counter.compare_exchange_weak(now, now + amount));
    return true;
}

void Counters::give_back(Count count, std::uint64_t amount) {
    auto& counter = shared_->used[index(count)];
    auto now = counter.load();
    // Never below zero, whatever a worker that went wrong wrote there.
    while (!counter.compare_exchange_weak(now, now - std::min(now, amount))) {
    }
}

void Counters::reset_used() {
    for (auto& used : shared_->used) used.store(0);
}

// The generic cell rate algorithm: one number, the time at which the next load would be due at an even rate. It may run
// ahead of the clock by a minute, which is a full minute's loads at once.
bool Counters::take_load(std::uint64_t now_ns, std::uint64_t per_minute) {
    constexpr std::uint64_t minute = 60'000'000'000;
    if (per_minute == 0) return false;
    const std::uint64_t step = minute / std::min(per_minute, minute);
    auto due = shared_->next_load_ns.load();
    std::uint64_t next = 0;
    do {
        next = std::max(due, now_ns) + step;
        if (next - now_ns > minute) return false;
    } while (!shared_->next_load_ns.compare_exchange_weak(due, next));
    return true;
}

void Ledger::limit_by(const std::vector<grant::Resolved>& grants) {
    for (std::size_t i = 0; i < levels_.size(); ++i) levels_[i].grant = &grants[i == 0 ? 0 : i - 1];
}

std::optional<Ledger::Full> Ledger::take(Count count, std::uint64_t amount) {
    for (std::size_t i = 0; i < levels_.size(); ++i) {
        auto& level = levels_[i];
        const auto& limit = level.grant->of(limit_of(count));
        const auto most = limit ? limit->value : std::numeric_limits<std::uint64_t>::max();
        if (level.counters.take(count, amount, most)) continue;
        while (i-- > 0) levels_[i].counters.give_back(count, amount);
        return Full{level.grant, limit_of(count), most};
    }
    return std::nullopt;
}

void Ledger::give_back(Count count, std::uint64_t amount) {
    for (auto& level : levels_) level.counters.give_back(count, amount);
}

// A load that a later level refuses has still been counted at the earlier ones: refused loads cost as well.
std::optional<Ledger::Full> Ledger::take_load(std::uint64_t now_ns) {
    for (auto& level : levels_) {
        const auto& limit = level.grant->of(grant::Limit::loads_per_minute);
        if (limit && !level.counters.take_load(now_ns, limit->value))
            return Full{level.grant, grant::Limit::loads_per_minute, limit->value};
    }
    return std::nullopt;
}

}  // namespace bpfwarden::broker
