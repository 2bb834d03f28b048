// SPDX-License-Identifier: Apache-2.0
// The guest under the seal. It is made at the first use, as the kernel verifies the guard for seconds, and kept for all
// vectors while nothing is wrong with it. Its updater is a domain, so that attackers have all capabilities.
#pragma once

#include <string>
#include <vector>

#include "attack/victim.hpp"

namespace bpfwarden::test {

// The guard's own bpffs: made like Home::apart.
Place guards_place();

class SealedWorld {
  public:
    // Why this build cannot seal, or "".
    static std::string missing();
    static SealedWorld& now();
    // Unseals and ends it; the next use makes another.
    static void forget();

    SealedWorld();
    SealedWorld(const SealedWorld&) = delete;
    ~SealedWorld();

    const World& world() const { return world_; }
    bool works() const { return sealed_ && serves_; }
    // Status of a program that runs in the updater's domain.
    int as_updater(std::vector<std::string> words) const;

    // Its maker has loaded it, and the updater protects its pins.
    bool protect(const Place& at, Victim victim) const;
    // Of a victim without a link there is none here: nobody attaches those under the seal. It is the guard's own core
    // that has programs of that kind, and they must go on deciding.
    bool core_decides(Victim victim) const;
    // The guard's own bpffs is where it was.
    bool is_whole() const;
    // Whether an event `tamper` names this process.
    bool told_of(pid_t actor) const;
    // Takes away what victims and attackers have left.
    void tidy() const;

  private:
    void seal();
    World world_ = World::guest();
    pid_t guardian_ = -1;
    bool sealed_ = false, serves_ = false;
};

}  // namespace bpfwarden::test
