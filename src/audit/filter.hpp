// SPDX-License-Identifier: Apache-2.0
// Which events a reader wants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/event.hpp"

namespace bpfwarden::audit {

// All that is set must fit; of a list, one.
struct Filter {
    std::vector<std::string> sessions, grants, verdicts, kinds;
    std::vector<std::string> domains;
    std::vector<std::string> uids;        // of the opener, the sender or the actor
    std::vector<std::string> operations;  // globs over the whole text, where `*` is any run
    std::vector<std::string> paths;       // globs over a path that the event is about
    std::optional<std::uint64_t> since_ns, until_ns;

    bool matches(const Event& event) const;
    // Whether anything between these times could be wanted.
    bool overlaps(std::uint64_t from_ns, std::uint64_t to_ns) const;
};

}  // namespace bpfwarden::audit
