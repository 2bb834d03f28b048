// SPDX-License-Identifier: Apache-2.0
// The fuzzer's corpus, replayed in every build: what it asserts is in policy_fuzz.hpp. The examples, too.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/policy_fuzz.hpp"
#include "policy/load.hpp"

namespace bpfwarden::policy {

static std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PolicyCorpus, IsReplayed) {
    int count = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(BPFWARDEN_SOURCE) + "/tests/fuzz/policy_corpus")) {
        EXPECT_EQ(broken_invariant(read(entry.path())), "") << entry.path();
        ++count;
    }
    EXPECT_GT(count, 20);
}

TEST(PolicyExamples, AreRightAndWithoutWarning) {
    int count = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(BPFWARDEN_SOURCE) + "/examples/policies")) {
        const std::string file = entry.path();
        auto loaded = load({&file, 1});
        ASSERT_TRUE(loaded) << loaded.error().text("load");
        compile(loaded->policies, loaded->diagnostics);
        lint(loaded->policies, nullptr, loaded->diagnostics);
        std::string said;
        for (const auto& one : loaded->diagnostics.sorted()) said += one.text() + "\n";
        EXPECT_EQ(said, "") << file;
        EXPECT_EQ(broken_invariant(read(file)), "") << file;
        ++count;
    }
    EXPECT_GE(count, 2);
}

}  // namespace bpfwarden::policy
