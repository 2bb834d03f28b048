// SPDX-License-Identifier: Apache-2.0
// The victim: foreign_loader's policies, and whether they decide. What asks is in the guest's own namespace, where no
// act reaches.
#pragma once

#include "attack/world.hpp"

namespace bpfwarden::test {

inline const std::string loader = "/bpfwarden/tests/helpers/foreign_loader";

// Attached without a link, so that no pin holds it.
inline bool is_without_link(Victim victim) { return victim == Victim::sysctl || victim == Victim::open_in_root; }

int load(const World& world, Victim victim, const Place& at);
bool decides(Victim victim);
// It ends within some seconds.
bool ends(Victim victim);
// Long enough for what an act has let go to be gone.
bool stays(Victim victim);
// Takes down what is attached to the root cgroup without a link, the victim's and the attackers'.
void detach_all();

}  // namespace bpfwarden::test
