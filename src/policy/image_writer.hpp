// SPDX-License-Identifier: Apache-2.0
// The parts of an image, and how they are laid out in lines.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "policy/automaton.hpp"
#include "policy/compile.hpp"

namespace bpfwarden::policy {

// Ascending places of rules' lines, and numbers of ways in.
struct SetContents {
    std::vector<std::uint32_t> rules, ways;
    friend auto operator<=>(const SetContents&, const SetContents&) = default;
};

struct DomainLines {
    bw_domain domain{};
    std::vector<bw_cell> peers;            // [domain]
    std::vector<std::uint32_t> peer_sets;  // [domain]
};

class ImageParts {
  public:
    Automaton automaton;
    std::vector<bw_live> live;  // [state]
    std::vector<bw_rule> rules;
    std::vector<bw_identity> identities;
    std::vector<bw_pin> pins;                     // number 1 is the first
    std::uint32_t way_kinds = 0, rule_kinds = 0;  // 1 << BW_PIN_*
    std::vector<bw_entry> ways;
    std::vector<bw_entry_pins> way_pins;  // [way]
    std::vector<std::uint32_t> any_ways;
    std::vector<DomainLines> domains;
    std::vector<bw_net_rule> net;
    std::vector<bw_cell> cells;
    std::vector<std::uint32_t> cell_index;  // [set][domain]
    std::uint32_t sets_with_cells = 0;      // those of paths, types and identities: the first

    // Each gives what is equal one number.
    std::uint32_t intern_set(SetContents set);
    std::uint32_t intern_cell(const bw_cell& cell);
    std::uint32_t intern_net(const std::vector<bw_net_rule>& run);

    std::uint32_t set_count() const { return static_cast<std::uint32_t>(sets_.size()); }
    const SetContents& set(std::uint32_t number) const { return *sets_[number]; }

  private:
    std::map<SetContents, std::uint32_t> set_numbers_{{SetContents{}, 0}};
    std::vector<const SetContents*> sets_{&set_numbers_.begin()->first};
    std::map<std::string, std::uint32_t> cell_numbers_, net_places_;  // by their bytes
};

inline constexpr std::size_t most_lines = std::size_t{1} << 21;  // 128 MiB

// Fails (bad_input) when the image would be too large.
Result<std::vector<Line>> write_image(const ImageParts& parts);

}  // namespace bpfwarden::policy
