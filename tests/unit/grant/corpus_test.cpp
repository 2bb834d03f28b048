// SPDX-License-Identifier: Apache-2.0
// The fuzzer's corpus, replayed in every build: what it asserts is in grant_fuzz.hpp.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/grant_fuzz.hpp"

TEST(Corpus, IsReplayed) {
    int count = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(BPFWARDEN_SOURCE) + "/tests/fuzz/grant_parser_corpus")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text(std::istreambuf_iterator<char>(file), {});
        EXPECT_EQ(bpfwarden::grant::broken_invariant(text), "") << entry.path();
        ++count;
    }
    EXPECT_GT(count, 20);
}
