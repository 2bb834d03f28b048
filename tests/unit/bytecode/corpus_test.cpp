// SPDX-License-Identifier: Apache-2.0
// The fuzzer's corpus, replayed in every build: what it asserts is in bytecode_fuzz.hpp.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "fuzz/bytecode_fuzz.hpp"

TEST(Corpus, IsReplayed) {
    int count = 0, readable = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(BPFWARDEN_SOURCE) + "/tests/fuzz/bytecode_corpus")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text(std::istreambuf_iterator<char>(file), {});
        const auto bytes = std::as_bytes(std::span(text));
        EXPECT_EQ(bpfwarden::bytecode::broken_invariant(bytes), "") << entry.path();
        std::vector<bpf_insn> code(text.size() / sizeof(bpf_insn));
        if (!code.empty()) std::memcpy(code.data(), text.data(), code.size() * sizeof(bpf_insn));
        readable += bpfwarden::bytecode::read(code).has_value();
        ++count;
    }
    EXPECT_GT(count, 12);
    EXPECT_GT(readable, 8);
}
