// SPDX-License-Identifier: Apache-2.0
// How much of a grant's limits is used: counters in memory that the daemon and several workers share, so that a limit
// holds over all of them at once and asking costs no message.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "grant/resolve.hpp"

namespace bpfwarden::broker {

// What is counted while it lasts.
enum class Count { programs, maps, links, map_memory };
inline constexpr Count all_counts[] = {Count::programs, Count::maps, Count::links, Count::map_memory};
inline constexpr std::size_t counts = std::size(all_counts);
grant::Limit limit_of(Count count);

// One set of counters: of a grant, or of a session.
class Counters {
  public:
    static Result<Counters> create();
    // Of the same counters in another process. Fails for what create() did not make.
    static Result<Counters> map(UniqueFd memory);
    Counters(Counters&& other) noexcept
        : memory_(std::move(other.memory_)), shared_(std::exchange(other.shared_, nullptr)) {}
    Counters& operator=(Counters&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(shared_, other.shared_);
        return *this;
    }
    ~Counters();

    std::uint64_t used(Count count) const;
    // False, and nothing changed, where `limit` would be passed.
    bool take(Count count, std::uint64_t amount, std::uint64_t limit);
    void give_back(Count count, std::uint64_t amount);
    // Nobody counts here any more: what is left was taken by somebody who was killed in the middle.
    void reset_used();
    // One more load at `now_ns` (CLOCK_MONOTONIC): false where it would be more than `per_minute` in any minute.
    bool take_load(std::uint64_t now_ns, std::uint64_t per_minute);
    FdRef memory() const { return memory_; }

  private:
    struct Shared {
        std::array<std::atomic<std::uint64_t>, counts> used;
        std::atomic<std::uint64_t> next_load_ns;
    };
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "shared between processes");
    Counters(UniqueFd memory, Shared* shared) : memory_(std::move(memory)), shared_(shared) {}

    UniqueFd memory_;
    Shared* shared_ = nullptr;
};

// Everything that an operation of one session counts against: its grant, the sessions it was derived from, itself.
class Ledger {
  public:
    struct Level {
        Counters counters;
        const grant::Resolved* grant = nullptr;  // whose [limits] hold here
    };
    explicit Ledger(std::vector<Level> levels) : levels_(std::move(levels)) {}
    // Sets whose limits hold where: the first level is the grant's and the second the session's own, both of the first
    // grant; then one for each that was derived. As many grants as levels but one.
    void limit_by(const std::vector<grant::Resolved>& grants);

    struct Full {
        const grant::Resolved* grant = nullptr;
        grant::Limit limit{};
        std::uint64_t most = 0;
    };
    // At all levels or at none; which one is full.
    std::optional<Full> take(Count count, std::uint64_t amount);
    void give_back(Count count, std::uint64_t amount);
    std::optional<Full> take_load(std::uint64_t now_ns);
    // The session's own.
    const Counters& own() const { return levels_.back().counters; }

  private:
    std::vector<Level> levels_;
};

}  // namespace bpfwarden::broker
