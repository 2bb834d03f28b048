// SPDX-License-Identifier: Apache-2.0
// The objects made from the public headers alone work together in one program.
#include <gtest/gtest.h>

#include <cerrno>

#include "bpfwarden/bpfwarden.hpp"

extern "C" int header_c11(void);
int header_cxx20();
int header_cxx23();

TEST(Header, WorksInEachLanguage) {
    EXPECT_EQ(header_c11(), 1);
    EXPECT_EQ(header_cxx20(), 0);
    EXPECT_EQ(header_cxx23(), 0);
}
