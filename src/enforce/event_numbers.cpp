// SPDX-License-Identifier: Apache-2.0
#include "enforce/event_numbers.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace bpfwarden::enforce {

static constexpr const char* map_name = "read";

bool take_number(SeenEvents& seen, std::uint32_t cpu, std::uint64_t number) {
    auto& of = seen.cpus[cpu % event_cpus];
    if (number > of.last) {
        of.missing += number - of.last - 1;
        of.last = number;
        return true;
    }
    if (of.missing) {
        --of.missing;
        return true;
    }
    if (seen.told) --seen.told;
    return false;
}

std::vector<EventLoss> tell_losses(SeenEvents& seen, std::uint64_t lost, std::span<const std::uint64_t> taken) {
    if (lost <= seen.told) return {};
    const auto cpus = static_cast<std::uint32_t>(std::min<std::size_t>(taken.size(), event_cpus));
    std::vector<EventLoss> losses;
    std::uint64_t all = 0;
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
        const auto& of = seen.cpus[cpu];
        const auto count = of.missing + (taken[cpu] > of.last ? taken[cpu] - of.last : 0);
        if (count) losses.push_back({cpu, count});
        all += count;
    }
    // Soundness: each counted loss took its number before, so it is among the missing; as many are missing, so they are
    // it.
    if (all != lost - seen.told) return {};
    for (const auto& [cpu, count] : losses) {
        seen.cpus[cpu].last = std::max(seen.cpus[cpu].last, taken[cpu]);
        seen.cpus[cpu].missing = 0;
    }
    seen.told += all;
    return losses;
}

std::vector<EventLoss> give_up_missing(SeenEvents& seen) {
    std::vector<EventLoss> losses;
    for (std::uint32_t cpu = 0; cpu < event_cpus; ++cpu)
        if (const auto count = std::exchange(seen.cpus[cpu].missing, 0)) {
            losses.push_back({cpu, count});
            seen.told += count;
        }
    return losses;
}

static std::size_t mapped_size() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (sizeof(KeptNumbers) + page - 1) / page * page;
}

Result<> make_kept_numbers(const std::string& pins) {
    const auto path = fmt::format("{}/{}", pins, map_name);
    if (::access(path.c_str(), F_OK) == 0) return {};
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    const MapFd fd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "bw_read", sizeof(__u32), sizeof(std::uint64_t),
                                    static_cast<__u32>(mapped_size() / sizeof(std::uint64_t)), &options));
    if (!fd) return fail_errno("cannot make the map of events that were read");
    if (::bpf_obj_pin(fd.get(), path.c_str())) return fail_errno(fmt::format("cannot pin {}", path));
    return {};
}

Result<KeptNumbersMap> KeptNumbersMap::open(const std::string& pins) {
    const auto path = fmt::format("{}/{}", pins, map_name);
    MapFd fd(::bpf_obj_get(path.c_str()));
    if (!fd) return fail_errno(fmt::format("cannot open the policy's map {}", path));
    void* address = ::mmap(nullptr, mapped_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return fail_errno(fmt::format("cannot map {}", path));
    KeptNumbersMap map;
    map.kept_ = static_cast<KeptNumbers*>(address);
    map.fd_ = std::move(fd);
    return map;
}

KeptNumbersMap::KeptNumbersMap(KeptNumbersMap&& other) noexcept
    : kept_(std::exchange(other.kept_, nullptr)), fd_(std::move(other.fd_)) {}

KeptNumbersMap& KeptNumbersMap::operator=(KeptNumbersMap&& other) noexcept {
    std::swap(kept_, other.kept_);
    std::swap(fd_, other.fd_);
    return *this;
}

KeptNumbersMap::~KeptNumbersMap() {
    if (kept_) ::munmap(kept_, mapped_size());
}

const SeenEvents& KeptNumbersMap::current(unsigned ring) const {
    return kept_->seen[ring][__atomic_load_n(&kept_->current[ring], __ATOMIC_ACQUIRE) & 1];
}

void KeptNumbersMap::keep(unsigned ring, const SeenEvents& seen) {
    const auto next = ~__atomic_load_n(&kept_->current[ring], __ATOMIC_ACQUIRE) & 1;
    kept_->seen[ring][next] = seen;
    __atomic_store_n(&kept_->current[ring], next, __ATOMIC_RELEASE);
}

}  // namespace bpfwarden::enforce
