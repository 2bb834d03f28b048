// SPDX-License-Identifier: Apache-2.0
// Which rule of a profile decides a call, and where in the profile it stands.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "filter/data.hpp"

namespace bpfwarden::filter {

enum class Operator : std::uint8_t { not_equal, below, at_most, equal, at_least, above, masked_equal };

struct ArgumentCheck {
    unsigned argument = 0;
    Operator op = Operator::equal;
    std::uint64_t value = 0;
    std::uint64_t mask = ~std::uint64_t{0};  // of masked_equal
};

bool holds(const ArgumentCheck& check, std::uint64_t value);

// In the file: the path in the document, "syscalls[3]", and the line on which it begins.
struct ProfilePlace {
    std::string path;
    unsigned line = 0;
};

// One look at a profile on the way to a decision: a rule that fits or does not, or what decides without one.
struct ProfileStep {
    const ProfilePlace* place = nullptr;  // none: it is not in the profile, but an option's or the rule for -1
    std::string text;
};

struct ProfileRules {
    // What counts for one number, in this order: the first that fits decides.
    struct Rule {
        std::vector<ArgumentCheck> checks;
        std::uint32_t action = 0;
        std::size_t place = 0;  // of `places`
    };
    struct Number {
        bool is_32_bit = false;  // only lower halves are looked at
        std::vector<Rule> rules;
    };

    std::vector<ProfilePlace> places;  // of the rules
    ProfilePlace default_place;
    std::uint32_t default_action = 0;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Number> numbers;  // by architecture and number

    // `result` is what the whole function returns for it.
    std::vector<ProfileStep> steps(const Data& data, std::uint32_t result) const;
};

}  // namespace bpfwarden::filter
