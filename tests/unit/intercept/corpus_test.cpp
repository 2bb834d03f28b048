// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer of intercepted calls starts from, and what it found.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/notifier_fuzz.hpp"

TEST(NotifierCorpus, HoldsTheInvariants) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BPFWARDEN_SOURCE "/tests/fuzz/notifier_corpus")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        EXPECT_EQ(bpfwarden::wire::broken_notification(bpfwarden::wire::bytes_of(text)), "") << entry.path();
        ++count;
    }
    EXPECT_GT(count, 10U);
}
