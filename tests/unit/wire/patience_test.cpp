// SPDX-License-Identifier: Apache-2.0
#include "wire/patience.hpp"

#include <gtest/gtest.h>

namespace bpfwarden::wire {
namespace {

using std::chrono::microseconds;

TEST(Patience, FindsWhatComesAMomentLater) {
    Patience patience(microseconds(1'000'000));
    int looks = 0;
    EXPECT_TRUE(patience.look_for([&] { return ++looks == 3; }));
    EXPECT_EQ(looks, 3);
}

TEST(Patience, LooksOnceAtLeast) {
    Patience patience(microseconds(0));
    EXPECT_TRUE(patience.look_for([] { return true; }));
}

TEST(Patience, EndsWithItsTime) {
    Patience patience(microseconds(200));
    const auto began = std::chrono::steady_clock::now();
    EXPECT_FALSE(patience.look_for([] { return false; }));
    EXPECT_GE(std::chrono::steady_clock::now() - began, microseconds(200));
}

// How often it looks in one wait says whether it was patient.
TEST(Patience, RestsAfterLookingInVainAndTriesAgain) {
    Patience patience(microseconds(50));
    const auto looks_in_vain = [&] {
        int looks = 0;
        EXPECT_FALSE(patience.look_for([&] {
            ++looks;
            return false;
        }));
        return looks;
    };
    int patient = 0;
    constexpr int waits = 200;
    for (int i = 0; i < waits; ++i) patient += looks_in_vain() > 1;
    EXPECT_GT(patient, 3);
    EXPECT_LT(patient, waits / 10);
}

TEST(Patience, SuccessMakesItPatientAgain) {
    Patience patience(microseconds(500));
    const auto never = [] { return false; };
    EXPECT_FALSE(patience.look_for(never));  // patient, in vain: it rests once
    EXPECT_FALSE(patience.look_for(never));
    int looks = 0;
    EXPECT_TRUE(patience.look_for([&] { return ++looks == 2; }));
    looks = 0;
    EXPECT_TRUE(patience.look_for([&] { return ++looks == 2; }));
}

}  // namespace
}  // namespace bpfwarden::wire
