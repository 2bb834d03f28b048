// SPDX-License-Identifier: Apache-2.0
// The victim is what it should be: its owner replaces it while it decides, and what is not refused stays so.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "attack/victim.hpp"
#include "root/guests.hpp"

namespace bpfwarden::test {
namespace {

TEST(Owner, ReplacesThePolicyWhileItDecides) {
    if (!emulated()) GTEST_SKIP() << "attacks are made in guests of tools/lab only";
    std::filesystem::create_directories(outer_secrets);
    for (const char* name : {"file", "innocent"}) std::ofstream(outer_secrets + name) << name << '\n';
    {
        const World world;
        const auto at = place_in(Home::usual);
        ASSERT_EQ(load(world, Victim::open, at), 0);
        ASSERT_TRUE(decides(Victim::open));
        std::atomic<bool> done = false;
        std::atomic<unsigned> asked = 0, opened = 0;
        std::thread others([&] {
            while (!done) opened += decides(Victim::open) ? 0 : 1, ++asked;
        });
        EXPECT_EQ(world.execute({loader, "update", at.pins, inner_secrets + "file"}), 0);
        done = true;
        others.join();
        EXPECT_GT(asked, 0U);
        EXPECT_EQ(opened, 0U) << "of " << asked;
        EXPECT_TRUE(stays(Victim::open)) << "the successor decides";
        EXPECT_TRUE(std::ifstream(outer_secrets + "innocent").is_open());
    }
    EXPECT_TRUE(ends(Victim::open));
}

}  // namespace
}  // namespace bpfwarden::test
