// SPDX-License-Identifier: Apache-2.0
// A derived session is never wider than what it was derived from.
#include "broker/derived.hpp"

#include <gtest/gtest.h>

#include "../grant/random.hpp"
#include "broker/rights.hpp"

namespace bpfwarden::broker {

using grant::allowing;
using grant::cases;
using grant::Random;
using grant::resolved;

// By construction: whatever the smaller grant says, and whether or not anybody looked whether it lies within.
TEST(Derived, AllowsNothingThatTheWholeRefuses) {
    Random random(101);
    for (int i = 0; i < cases(400); ++i) {
        const auto whole = resolved(random.draft().text()), smaller = resolved(random.draft().text());
        const Rights alone({whole}), derived({whole, smaller}),
            twice({whole, smaller, resolved(random.draft().text())});
        for (int n = 0; n < 40; ++n) {
            const auto operation = random.operation();
            const bool by_whole = alone.check(operation).allowed, by_derived = derived.check(operation).allowed;
            ASSERT_TRUE(by_whole || !by_derived) << grant::describe(operation);
            ASSERT_TRUE(by_derived || !twice.check(operation).allowed) << grant::describe(operation);
            ASSERT_EQ(by_derived, by_whole && grant::check(smaller, operation).allowed) << grant::describe(operation);
        }
        EXPECT_EQ(derived.capabilities() & ~alone.capabilities(), 0U);
        EXPECT_EQ(twice.capabilities() & ~derived.capabilities(), 0U);
        EXPECT_TRUE(alone.gives_programs() || !derived.gives_programs());
        EXPECT_TRUE(alone.forbids_not_revocable() == nullptr || derived.forbids_not_revocable() != nullptr);
        if (alone.lifetime_ms()) {
            ASSERT_TRUE(derived.lifetime_ms());
            EXPECT_LE(*derived.lifetime_ms(), *alone.lifetime_ms());
        }
    }
}

// And what was taken as lying within does: nothing that it allows by itself is refused by the whole.
TEST(Derived, WhatLiesWithinIsAllowedByTheWhole) {
    Random random(102);
    int within = 0;
    for (int i = 0; i < cases(1500); ++i) {
        auto draft = random.draft();
        const auto whole = resolved(draft.text());
        // Fewer entries of the same: a random grant would hardly ever lie within another.
        for (auto& [key, entries] : draft.allow)
            while (!entries.empty() && random.chance(40)) entries.pop_back();
        if (random.chance(30)) draft = random.draft();
        const auto smaller = resolved(draft.text());
        if (!must_be_within(smaller, whole)) continue;
        ++within;
        for (int n = 0; n < 40; ++n) {
            const auto operation = random.operation();
            if (!grant::check(smaller, operation).allowed) continue;
            // Narrowing tables that were left out are taken over.
            if (!grant::check(whole, operation).allowed) {
                const auto verdict = grant::check(whole, operation);
                EXPECT_TRUE(verdict.key.starts_with("targets") || verdict.key.starts_with("identity") ||
                            verdict.key.starts_with("limits"))
                    << grant::describe(operation) << ": " << verdict.key << " " << verdict.reason;
            }
        }
    }
    EXPECT_GT(within, 100);
}

TEST(Derived, WhatIsMoreIsNamed) {
    const auto whole = allowing("map_types = ['array']\ncapabilities = ['bpf']\n[limits]\nmaps = 3\n");
    EXPECT_TRUE(must_be_within(allowing("map_types = ['array']\n"), whole));
    EXPECT_TRUE(must_be_within(allowing("map_types = []\n"), whole));
    const auto wider = must_be_within(allowing("map_types = ['array', 'hash']\n"), whole);
    ASSERT_FALSE(wider);
    EXPECT_EQ(wider.error().code(), Code::denied);
    EXPECT_NE(wider.error().why().find("hash"), std::string::npos) << wider.error().why();
    EXPECT_FALSE(must_be_within(allowing("map_types = ['array']\n[limits]\nmaps = 4\n"), whole));
    EXPECT_TRUE(must_be_within(allowing("map_types = ['array']\n[limits]\nmaps = 3\n"), whole));
    EXPECT_FALSE(must_be_within(allowing("capabilities = ['bpf', 'net_admin']\n"), whole));
    EXPECT_FALSE(must_be_within(allowing("[session]\nnot_revocable = true\n"), whole));
}

}  // namespace bpfwarden::broker
