// SPDX-License-Identifier: Apache-2.0
// What two sets of policies decide differently: for every domain that both have, each with an example.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/evaluate.hpp"
#include "policy/link.hpp"

namespace bpfwarden::policy {

struct Difference {
    enum class Direction { widens, narrows, neither };
    std::string domain;
    std::string what;     // "read, write"; of a domain itself "default", "enter", …
    std::string example;  // "/etc/passwd", "inet 10.0.0.1:80", "net_admin"; of a setting: was -> is
    std::string was, is;  // verdicts; empty of a setting
    Direction direction = Direction::neither;
    std::size_t more = 0;  // further places with the same change
    Operations ops = 0;    // of a file: those that changed
};
std::string_view name_of(Difference::Direction direction);

struct Diff {
    std::vector<Difference> differences;
    bool widens() const;
    bool narrows() const;
};

// Of policies without errors. Sound for files: a path on which the two decide differently shows up, itself or in
// "further places". Fails as compile() does when both together are too large.
Result<Diff> diff(std::span<const Policy> was, std::span<const Policy> is);

}  // namespace bpfwarden::policy
