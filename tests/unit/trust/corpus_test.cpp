// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer of signatures and ELF files starts from, and what it found.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/parser_fuzz.hpp"

TEST(ParserCorpus, HoldsTheInvariants) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BPFWARDEN_SOURCE "/tests/fuzz/parser_corpus")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        EXPECT_EQ(bpfwarden::test::broken_parser(std::as_bytes(std::span(text))), "") << entry.path();
        ++count;
    }
    EXPECT_GE(count, 8U);
}
