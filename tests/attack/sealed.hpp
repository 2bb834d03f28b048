// SPDX-License-Identifier: Apache-2.0
// The guest under the seal: sealed at the first use, as the kernel verifies the guard for seconds, and kept so for all
// vectors while nothing is wrong with it. The updater is a domain, so that attackers have all capabilities.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attack/guardian.hpp"
#include "attack/victim.hpp"

namespace bpfwarden::test {

// The guard's own bpffs: made like Home::apart.
Place guards_place();

class SealedWorld {
  public:
    // `before_sealing` is done if it has to be made.
    using Before = std::function<void(const World&)>;
    static SealedWorld& now(const Before& before_sealing = {});
    // Unseals and ends it; the next use makes another.
    static void forget();

    explicit SealedWorld(const Before& before_sealing);
    SealedWorld(const SealedWorld&) = delete;
    ~SealedWorld();

    const World& world() const { return world_; }
    bool works() const { return sealed_ && guardian_ && guardian_->serves(); }
    // Status of a program that runs in the updater's domain.
    int as_updater(std::vector<std::string> words) const;

    // A victim that no attack has harmed is there for the next.
    bool keeps(Victim victim, Home home) const { return kept_ == std::pair(victim, home); }
    // Its maker has loaded it, and the updater protects its pins.
    bool protect(Victim victim, Home home);
    // The updater removes it.
    void remove_victim();
    // Of a victim without a link there is none here: nobody attaches those under the seal. It is the guard's own core
    // that has programs of that kind, and they must go on deciding.
    bool core_decides(Victim victim) const;
    // An act that the core refuses, by a process of its own.
    pid_t attempt() const;
    // The guard's process runs, again if it did not.
    bool revive();
    // The guard's own bpffs is where it was.
    bool is_whole() const;
    // Whether an event `tamper` names this process.
    bool told_of(pid_t actor) const;
    // Takes away what attackers have left.
    void tidy() const;

  private:
    void seal();
    void as_updater_in_shell(const std::string& script) const;
    World world_{World::TheGuest()};
    std::optional<Guardian> guardian_;
    std::optional<std::pair<Victim, Home>> kept_;
    bool sealed_ = false;
};

}  // namespace bpfwarden::test
