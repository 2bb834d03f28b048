// SPDX-License-Identifier: Apache-2.0
// Names for examples: for each way out of a state of the automaton a name that takes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/automaton.hpp"

namespace bpfwarden::policy {

class Witnesses {
  public:
    explicit Witnesses(const Automaton& automaton) : automaton_(automaton) {}

    struct Step {
        std::string name;
        std::uint32_t to;
    };
    // One step for each different way; ways that no name takes are left out.
    std::vector<Step> steps(std::uint32_t state);

  private:
    // By end of the byte automaton, a few names that come to it; 0: that no glob matches.
    const std::vector<std::vector<std::string>>& names(std::uint32_t row, std::size_t ends);

    const Automaton& automaton_;
    std::map<std::uint32_t, std::vector<std::vector<std::string>>> names_;
};

}  // namespace bpfwarden::policy
