// SPDX-License-Identifier: Apache-2.0
// The fuzzer's corpus, replayed in every build: what it asserts is in filter_profile_fuzz.hpp.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/filter_profile_fuzz.hpp"

namespace bpfwarden::filter {
namespace {

TEST(ProfileCorpus, HoldsItsInvariants) {
    unsigned files = 0, taken = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(BPFWARDEN_SOURCE) + "/tests/fuzz/filter_profile_corpus")) {
        std::ifstream file(entry.path());
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        EXPECT_EQ(broken_invariant(text), "") << entry.path();
        taken += read_profile(text) ? 1U : 0U;
        ++files;
    }
    EXPECT_GE(files, 14U);
    // They reach both ends.
    EXPECT_GE(taken, 7U);
    EXPECT_GE(files - taken, 6U);
}

}  // namespace
}  // namespace bpfwarden::filter
