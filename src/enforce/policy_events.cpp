// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_events.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "enforce/event_common.hpp"
#include "enforce/policy_event.hpp"

namespace bpfwarden::enforce {

static constexpr const char* ring_names[] = {"denials", "others"};
static constexpr std::size_t most_in_a_batch = 1000;
// A program that took a number and was preempted for longer is told as a loss; should its event come, it says `late`.
static constexpr std::chrono::seconds longest_in_flight{10};

// What to add to a time since boot, now. Clocks that were set in between make earlier times wrong by as much.
static Result<MapFd> pinned(const std::string& pins, const char* name) {
    const auto path = fmt::format("{}/{}", pins, name);
    MapFd fd(::bpf_obj_get(path.c_str()));
    if (!fd) return fail_errno(fmt::format("cannot open the policy's map {}", path));
    return fd;
}

PolicyEvents::PolicyEvents(std::array<PolicyRing, rings> both, KeptNumbersMap kept)
    : rings_(std::move(both)), kept_(std::move(kept)) {
    whole_.fill(std::chrono::steady_clock::now());
}
PolicyEvents::PolicyEvents(PolicyEvents&&) noexcept = default;
PolicyEvents& PolicyEvents::operator=(PolicyEvents&&) noexcept = default;
PolicyEvents::~PolicyEvents() = default;

Result<PolicyEvents> PolicyEvents::open(const std::string& pins, std::string records) {
    auto first = BW_TRY(PolicyRing::open(BW_TRY(pinned(pins, ring_names[denials]))));
    auto second = BW_TRY(PolicyRing::open(BW_TRY(pinned(pins, ring_names[others]))));
    PolicyEvents events({std::move(first), std::move(second)}, BW_TRY(KeptNumbersMap::open(pins)));
    events.numbers_ = BW_TRY(pinned(pins, "numbers"));
    events.records_ = std::move(records);
    events.control_fd_ = BW_TRY(pinned(pins, "control"));
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* address = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, events.control_fd_.get(), 0);
    if (address == MAP_FAILED) return fail_errno("cannot map the policy's control word");
    events.control_ = {static_cast<const bw_control*>(address),
                       [page](const bw_control* mapped) { ::munmap(const_cast<bw_control*>(mapped), page); }};
    // A reader before may have been killed after it had written its last batch and before it gave that back.
    for (unsigned ring = 0; ring < rings; ++ring) events.rings_[ring].skip_to(events.kept_.current(ring).position);
    return events;
}

const PolicyRecord& PolicyEvents::names_of(std::uint32_t generation) {
    auto& names = names_[generation];
    // It is written a moment after the policy is in force.
    if (names.domains.empty()) names = read_record(generation, records_);
    return names;
}

audit::Event PolicyEvents::event_of(std::span<const std::byte> record, SeenEvents& seen) {
    const auto told = read_told(record);
    if (!told) {
        audit::Event corrupt{.kind = "corrupt", .time_ns = audit::now_ns(), .fields = {}};
        return std::move(corrupt.set("where", "policy").set("reason", told.error().why()));
    }
    const auto& event = told->event;
    auto out = audit_event(*told, names_of(event.generation), cgroups_.of(event.cgroup), boot_to_real_ns());
    if (!take_number(seen, event.cpu, event.number)) out.set("late", true);
    return out;
}

bool PolicyEvents::drain(audit::Log& log) {
    std::array<SeenEvents, rings> seen;
    std::vector<audit::Event> events;
    bool more = false;
    for (unsigned ring = 0; ring < rings; ++ring) {
        seen[ring] = kept_.current(ring);
        std::size_t count = 0;
        while (count < most_in_a_batch) {
            const auto record = rings_[ring].next();
            if (!record) break;
            events.push_back(event_of(*record, seen[ring]));
            ++count;
        }
        more |= count == most_in_a_batch;
    }
    if (events.empty()) return false;
    std::ranges::stable_sort(events, {}, &audit::Event::time_ns);
    for (auto& event : events) log.append(std::move(event));
    log.flush();
    for (unsigned ring = 0; ring < rings; ++ring) {
        seen[ring].position = rings_[ring].position();
        kept_.keep(ring, seen[ring]);
        rings_[ring].release();
    }
    return more;
}

std::vector<std::uint64_t> PolicyEvents::taken(Ring ring) const {
    const int cpus = std::clamp(::libbpf_num_possible_cpus(), 1, static_cast<int>(event_cpus));
    std::vector<std::uint64_t> numbers(static_cast<std::size_t>(cpus));
    for (std::size_t cpu = 0; cpu < numbers.size(); ++cpu) {
        const auto key = static_cast<__u32>(cpu) + ring * event_cpus;
        (void)::bpf_map_lookup_elem(numbers_.get(), &key, &numbers[cpu]);
    }
    return numbers;
}

std::uint64_t PolicyEvents::lost(Ring ring) const {
    return __atomic_load_n(ring == denials ? &control_->lost_denials : &control_->lost_others, __ATOMIC_ACQUIRE);
}

void PolicyEvents::tell_losses(audit::Log& log) {
    for (unsigned at = 0; at < rings; ++at) {
        const auto ring = static_cast<Ring>(at);
        SeenEvents seen = kept_.current(ring);
        const auto now = std::chrono::steady_clock::now();
        const bool missing = std::ranges::any_of(seen.cpus, [](const auto& cpu) { return cpu.missing != 0; });
        if (!missing) whole_[ring] = now;
        const auto count = lost(ring);
        if (!missing && count == seen.told) continue;
        auto losses = enforce::tell_losses(seen, count, taken(ring));
        if (losses.empty() && now - whole_[ring] > longest_in_flight) losses = give_up_missing(seen);
        if (losses.empty()) continue;
        for (const auto& [cpu, lost] : losses) {
            audit::Event gap{.kind = "gap", .fields = {}};
            log.append(std::move(gap.set("where", ring_names[ring]).set("lost", lost).set("cpu", cpu)));
        }
        log.flush();
        kept_.keep(ring, seen);
    }
}

}  // namespace bpfwarden::enforce
