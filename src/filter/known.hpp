// SPDX-License-Identifier: Apache-2.0
// What earlier tests on a path say about a 32-bit value: its range, bits of it, numbers that it is not.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "filter/graph.hpp"

namespace bpfwarden::filter {

struct Known {
    std::uint32_t first = 0, last = 0xffffffff;
    std::uint32_t zeros = 0, ones = 0;
    std::vector<std::uint32_t> others = {};  // inside the range; ascending, up to a limit

    bool operator==(const Known&) const = default;
    // Whether the test is decided (its source is of no meaning here).
    std::optional<bool> decides(const Test& test) const;
    // After the test.
    Known with(const Test& test, bool outcome) const;

  private:
    void exclude(std::uint32_t value);
    void settle();
};

}  // namespace bpfwarden::filter
