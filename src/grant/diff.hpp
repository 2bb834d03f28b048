// SPDX-License-Identifier: Apache-2.0
// What a new version of a grant allows more, and what less, for whoever reviews it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "grant/resolve.hpp"

namespace bpfwarden::grant {

enum class Direction { widens, narrows, neither };
std::string_view name_of(Direction direction);

struct Change {
    Direction direction = Direction::neither;
    std::string key;       // "allow.map_types"
    std::string what;      // "+ lpm_trie", "- hash", "16 -> 32"
    bool implied = false;  // a consequence of another change, not written by anybody
    Position at;           // in the new grant where it is there, else in the old one
};

struct Diff {
    std::vector<Change> changes;
    bool widens() const;
    bool narrows() const;
};

// Sound for widening: an operation that `was` refuses and `is` allows, or somebody who may open `is` and not `was`,
// shows up as at least one Direction::widens. A pattern that cannot be shown to lie within the old ones counts as
// wider.
Diff diff(const Resolved& was, const Resolved& is);

}  // namespace bpfwarden::grant
