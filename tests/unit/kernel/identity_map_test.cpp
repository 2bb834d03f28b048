// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernel/namespace.hpp"

namespace bpfwarden::kernel {

TEST(IdentityMap, JoinsWhatIsConsecutive) {
    EXPECT_EQ(identity_map({65534}), "65534 65534 1\n");
    EXPECT_EQ(identity_map({7, 5, 6, 5, 100}), "5 5 3\n100 100 1\n");
    EXPECT_EQ(identity_map({}), "");
}

TEST(IdentityMap, RefusesMoreLinesThanTheKernelTakes) {
    std::vector<std::uint32_t> ids;
    for (std::uint32_t i = 0; i < 340; ++i) ids.push_back(i * 2);
    EXPECT_TRUE(identity_map(ids));
    ids.push_back(10'000);
    EXPECT_FALSE(identity_map(ids));
}

}  // namespace bpfwarden::kernel
