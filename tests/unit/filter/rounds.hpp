// SPDX-License-Identifier: Apache-2.0
// How many random programs: few in every run, a million in a soak, or as many as BPFWARDEN_ROUNDS says. They are made
// of seeds, one after the other from the test's own first one; BPFWARDEN_FIRST is added to it, so that a million can be
// done in parts.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace bpfwarden::filter {

inline std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

inline std::uint64_t rounds(std::uint64_t usual) {
    return number_from("BPFWARDEN_ROUNDS", std::getenv("BPFWARDEN_SOAK") != nullptr ? 1'000'000 : usual);
}
inline std::uint64_t first_seed(std::uint64_t usual) { return usual + number_from("BPFWARDEN_FIRST", 0); }

}  // namespace bpfwarden::filter
