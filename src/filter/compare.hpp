// SPDX-License-Identifier: Apache-2.0
// Whether two filters are the same function: yes, or an input for which they differ, or not decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "filter/function.hpp"

namespace bpfwarden::filter {

enum class Answer : std::uint8_t { same, different, undecided };

struct Comparison {
    Answer answer = Answer::undecided;
    // Where they differ:
    Data example = {};
    std::uint32_t one = 0, other = 0;
    std::size_t nodes = 0;  // of the diagrams: what it took
};

inline constexpr std::size_t usual_nodes = 2'000'000;

// `most_nodes` bounds memory (some 60 bytes each) and time, and nothing else decides whether there is an answer.
Comparison compare(const Function& one, const Function& other, std::size_t most_nodes = usual_nodes);

}  // namespace bpfwarden::filter
