// SPDX-License-Identifier: Apache-2.0
#include "base/diagnostic.hpp"

#include <gtest/gtest.h>

namespace bpfwarden {

TEST(Diagnostic, IsUpToThreeLines) {
    Diagnostics diagnostics;
    diagnostics.error({"a.toml", 3, 5}, "what", "why", "hint");
    diagnostics.warning({"a.toml", 0, 0}, "what");
    EXPECT_EQ(diagnostics.all()[0].text(), "a.toml:3:5: error: what\n  why\n  hint");
    EXPECT_EQ(diagnostics.all()[1].text(), "a.toml: warning: what");
    EXPECT_FALSE(diagnostics.ok());
    EXPECT_EQ(diagnostics.warnings(), 1U);
}

TEST(Diagnostic, NothingReachesTheTerminalRaw) {
    Diagnostics diagnostics;
    diagnostics.error({"a\x1b[2J.toml", 1, 1}, "b\x07", "c\r",
                      "d\xc2\x9b"
                      "31m");
    EXPECT_EQ(diagnostics.all()[0].text(), "a\\x1b[2J.toml:1:1: error: b\\x07\n  c\\x0d\n  d\\xc2\\x9b31m");
}

TEST(Diagnostic, AreSortedByPlaceWithinEachFile) {
    Diagnostics diagnostics;
    diagnostics.error({"b", 9, 1}, "1");
    diagnostics.error({"a", 1, 1}, "2");
    diagnostics.warning({"b", 2, 7}, "3");
    diagnostics.error({"b", 2, 3}, "4");
    std::string order;
    for (const auto& one : diagnostics.sorted()) order += one.what;
    EXPECT_EQ(order, "4312");
}

TEST(Diagnostic, JoiningKeepsTheCount) {
    Diagnostics many, all;
    for (int i = 0; i < 30; ++i) many.error({"a", 1, 1}, "x");
    all.add(many);
    all.add(many);
    EXPECT_EQ(all.errors(), 60U);
    EXPECT_EQ(all.all().size(), Diagnostics::limit);
}

}  // namespace bpfwarden
