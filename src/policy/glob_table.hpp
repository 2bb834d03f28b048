// SPDX-License-Identifier: Apache-2.0
// Globs of names as byte automata: all globs of a state at once, in one pass over the name. States with the same globs
// share one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::policy {

class GlobTable {
  public:
    using Row = std::array<std::uint32_t, 256>;
    static constexpr std::size_t most_rows = 32768;

    // One automaton: where it starts, and which of its globs match at each end. Ends count from 1; 0 is "none".
    struct Machine {
        std::uint32_t start = 0;
        std::vector<std::vector<std::uint32_t>> ends;
    };

    // A number for the glob; the same text has the same.
    std::uint32_t intern(std::string_view glob);
    const std::string& text(std::uint32_t glob) const { return texts_[glob]; }
    // For these globs, ascending. Fails (bad_input) when the rows would be too many. The reference stays.
    Result<const Machine*> machine(const std::vector<std::uint32_t>& globs);
    // Which end of the machine the name comes to.
    std::uint32_t run(std::uint32_t row, std::string_view name) const;

    // Row 0 is where nothing can match any more.
    const std::vector<Row>& rows() const { return rows_; }
    const std::vector<std::uint32_t>& ends() const { return ends_; }

  private:
    std::map<std::string, std::uint32_t, std::less<>> ids_;
    std::vector<std::string> texts_;
    std::map<std::vector<std::uint32_t>, Machine> machines_;
    std::vector<Row> rows_{Row{}};
    std::vector<std::uint32_t> ends_{0};
};

}  // namespace bpfwarden::policy
