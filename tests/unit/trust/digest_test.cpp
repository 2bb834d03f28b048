// SPDX-License-Identifier: Apache-2.0
#include "trust/digest.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string_view>

namespace bpfwarden::trust {

// FIPS 180-2, appendix B.1.
constexpr std::string_view of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, OfBytesAndOfAFileAgreeWithTheStandard) {
    EXPECT_EQ(sha256(std::as_bytes(std::span(std::string_view("abc")))), of_abc);
    const UniqueFd file(::memfd_create("abc", MFD_CLOEXEC));
    ASSERT_EQ(::write(file.get(), "abc", 3), 3);
    EXPECT_EQ(sha256_of_file(file), of_abc);
    EXPECT_EQ(sha256_of_file(file), of_abc) << "the offset does not matter";
}

TEST(Digest, OfWhatCannotBeRead) { EXPECT_FALSE(sha256_of_file(FdRef(-1))); }

}  // namespace bpfwarden::trust
