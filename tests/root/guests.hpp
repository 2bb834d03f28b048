// SPDX-License-Identifier: Apache-2.0
// Guests are emulated, and slow: what they need not repeat.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

namespace bpfwarden::test {

// Whether this runs in a guest of tools/lab.
inline bool emulated() { return std::getenv("BPFWARDEN_KERNEL") != nullptr; }
// floor, lts or edge.
inline std::string_view role() { return emulated() ? std::getenv("BPFWARDEN_KERNEL") : ""; }

}  // namespace bpfwarden::test

// For what never asks the kernel anything that differs: the host has run it, and in a guest it takes long.
#define BW_SAME_ON_EVERY_KERNEL()                                                  \
    if (::bpfwarden::test::emulated() && std::getenv("BPFWARDEN_SOAK") == nullptr) \
    GTEST_SKIP() << "the same on every kernel, and run on the host (make soak runs it in guests too)"

// For what every kernel must do alike and a guest needs long for: the roles share such tests out, a soak runs all on
// each.
#define BW_IN_ONE_GUEST(role)                                                                           \
    if (::bpfwarden::test::emulated() && std::string_view(std::getenv("BPFWARDEN_KERNEL")) != (role) && \
        std::getenv("BPFWARDEN_SOAK") == nullptr)                                                       \
    GTEST_SKIP() << "one guest of the three runs this (make soak runs it in each)"

// For what takes too long for every run.
#define BW_IN_A_SOAK() \
    if (std::getenv("BPFWARDEN_SOAK") == nullptr) GTEST_SKIP() << "only in a soak (make soak)"
