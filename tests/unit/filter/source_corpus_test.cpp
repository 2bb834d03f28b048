// SPDX-License-Identifier: Apache-2.0
// What the fuzzer starts from, and what it has found, in every build.
#include <gtest/gtest.h>

#include <filesystem>

#include "fuzz/filter_elf_fuzz.hpp"
#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

TEST(SourceCorpus, NothingIsBroken) {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BPFWARDEN_SOURCE "/tests/fuzz/filter_elf_corpus")) {
        const auto bytes = bytes_of_file(entry.path());
        EXPECT_EQ(broken_invariant(bytes), "") << entry.path();
        ++files;
    }
    EXPECT_GT(files, 20U);
}

}  // namespace
}  // namespace bpfwarden::filter
