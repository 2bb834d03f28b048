// SPDX-License-Identifier: Apache-2.0
// Which events of a ring were read, by the numbers that each processor gives them, and so which are lost.
//
// A number is taken before the record is written, and a program can be preempted in between: a number that is missing
// may still come. What is lost for certain is how many: the programs count each loss. So a hole is told once everything
// that is missing is accounted for by that count.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::enforce {

inline constexpr std::uint32_t event_cpus = 1024;  // as in tell.bpf.h: numbers above share

// Of one ring. Kept in a pinned map, so that whoever reads next goes on with it.
struct SeenEvents {
    std::uint64_t position;  // of the ring's reader, up to which this is
    std::uint64_t told;      // lost events that were told
    struct {
        std::uint64_t last;     // the highest number read or told
        std::uint64_t missing;  // how many below it were neither
    } cpus[event_cpus];
};

struct EventLoss {
    std::uint32_t cpu = 0;
    std::uint64_t lost = 0;
};

// Takes a number that was read. False: it had been told as lost, and came after all.
bool take_number(SeenEvents& seen, std::uint32_t cpu, std::uint64_t number);
// What is lost for certain: all that is missing, or nothing yet. LOST is the programs' own count and was read before
// TAKEN, the last number that each processor gave away.
std::vector<EventLoss> tell_losses(SeenEvents& seen, std::uint64_t lost, std::span<const std::uint64_t> taken);
// All that is missing below what was read, certain or not.
std::vector<EventLoss> give_up_missing(SeenEvents& seen);

// Two of a ring's SeenEvents: one is true, the other is being written. A reader that is killed at any instant leaves
// one that is whole, with the position that it belongs to.
struct KeptNumbers {
    std::uint32_t current[2];
    SeenEvents seen[2][2];
};

// The pinned map with KeptNumbers, made where it is missing. Only with the policy's lock.
Result<> make_kept_numbers(const std::string& pins);

class KeptNumbersMap {
  public:
    static Result<KeptNumbersMap> open(const std::string& pins);
    KeptNumbersMap(KeptNumbersMap&& other) noexcept;
    KeptNumbersMap& operator=(KeptNumbersMap&& other) noexcept;
    ~KeptNumbersMap();

    const SeenEvents& current(unsigned ring) const;
    // Puts it in the current one's place, at once or not at all.
    void keep(unsigned ring, const SeenEvents& seen);

  private:
    KeptNumbersMap() = default;
    KeptNumbers* kept_ = nullptr;
    MapFd fd_;  // for as long as it is mapped: see PolicyEvents
};

}  // namespace bpfwarden::enforce
