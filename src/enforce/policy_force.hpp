// SPDX-License-Identifier: Apache-2.0
// The policy in force: programs, links and maps pinned on a bpffs, which need no process. Whoever comes next adopts
// them.
//
// Needs root, BPF LSM in the kernel's list, and kernel 6.1. One change at a time: a lock is held from open() on, and by
// nobody for longer than a change takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/places.hpp"
#include "enforce/sealed_change.hpp"
#include "policy/compile.hpp"
#include "shared/policy_event.h"

namespace bpfwarden::enforce {

// An image in the kernel, mapped.
class ForcedImage {
  public:
    ForcedImage(ForcedImage&& other) noexcept;
    ForcedImage& operator=(ForcedImage&&) = delete;
    ~ForcedImage();
    static Result<ForcedImage> map(MapFd fd);

    std::span<const policy::Line> lines() const;
    std::uint32_t generation() const;
    FdRef fd() const { return fd_; }

  private:
    ForcedImage() = default;
    MapFd fd_;
    void* address_ = nullptr;
    std::size_t bytes_ = 0;
};

struct PolicyNeeds;

class PolicyForce {
  public:
    // What is pinned there; nothing decides if nothing was. Makes the directory and the maps. Where no policy is in
    // force, what one has left (a change that was killed, a first one that was never confirmed) is removed before: with
    // its maps it is forgotten who is in which of its domains.
    static Result<PolicyForce> open(const std::string& pins = policy_pins());
    // The same, but an error with Code::not_found if there is nothing to adopt: nothing is made then.
    static Result<PolicyForce> adopt(const std::string& pins = policy_pins());
    // The same, for who must not wait: nothing if somebody else has the lock.
    static Result<std::optional<PolicyForce>> try_adopt(const std::string& pins = policy_pins());
    PolicyForce(PolicyForce&&) noexcept;
    PolicyForce& operator=(PolicyForce&&) noexcept;
    ~PolicyForce();

    // Puts a policy in force with one write: before it the old one decides, from it on the new one. On an error the old
    // one is in force as before, and so it is when the process ends in between. With a time, the old one comes back by
    // itself unless confirm() is called before; the kernel's programs see to that, no process does. What was itself
    // never confirmed does not come back: what it replaced does. Returns the generation.
    Result<std::uint32_t> apply(policy::Compiled compiled, std::chrono::seconds confirm_within = {});
    // What the next policy has for a generation: more than any that ever decided.
    Result<std::uint32_t> next_generation() const;
    Result<> confirm();
    // The one before comes back.
    Result<std::uint32_t> rollback();
    // Programs of this version take the place of those that are attached; until all are, both decide.
    Result<> renew();
    // Everything ends: no policy, no programs, no maps.
    Result<> remove();

    // Reads where file systems are mounted now, so that their files have names. Returns how many there are.
    Result<std::size_t> name_mounts();

    struct Status {
        std::uint32_t generation = 0;  // in force; 0: none
        std::uint32_t before = 0;      // what rollback() brings back; 0: nothing
        std::uint32_t newest = 0;      // the last that was put in force; 0: none since the programs were loaded
        std::optional<std::chrono::nanoseconds> rollback_in;
        std::vector<std::string> programs;
        bw_control counts{};
    };
    Result<Status> status() const;
    // Times that a rule refused, would have refused or told, by its number; 0: a default.
    Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> hits(std::uint32_t generation) const;
    // Nothing if that slot is empty. 0: in force.
    Result<std::optional<ForcedImage>> image(unsigned slot) const;

    // A pinned map by its name in policy.bpf.c.
    Result<MapFd> map(const char* name) const;

  private:
    struct Maps;
    explicit PolicyForce(std::string pins);
    Result<> take_over();
    Result<> seal_maps(const SealedChange& sealing) const;
    Result<> attach(const PolicyNeeds& needs, const SealedChange& sealing);
    void read_for(std::span<const ForcedImage* const> images);
    Result<> drop_replaced(const SealedChange& sealing, std::initializer_list<const ForcedImage*> before);
    Result<> settle();
    Result<std::size_t> name_mounts(std::span<const ForcedImage* const> images);

    std::string pins_;
    UniqueFd lock_;
    std::unique_ptr<Maps> maps_;
};

}  // namespace bpfwarden::enforce
