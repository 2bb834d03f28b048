// SPDX-License-Identifier: Apache-2.0
#include "base/toml.hpp"

#include <gmock/gmock.h>

namespace bpfwarden {

static std::string error_of(std::string_view text) {
    Diagnostics diagnostics;
    const auto tree = parse_toml(text, "t", diagnostics);
    EXPECT_EQ(tree.has_value(), diagnostics.ok());
    EXPECT_LE(diagnostics.all().size(), 1U);
    return diagnostics.all().empty() ? "" : diagnostics.all()[0].text();
}

TEST(Toml, KeepsTheOrderAndThePlaces) {
    Diagnostics diagnostics;
    const auto tree = parse_toml("b = 1\na = [true, 'x']\n[t]\nk = 2.5\n", "t", diagnostics);
    ASSERT_TRUE(tree);
    ASSERT_EQ(tree->items.size(), 3U);
    EXPECT_EQ(tree->items[0].key, "b");
    EXPECT_EQ(tree->items[1].key, "a");
    EXPECT_TRUE(tree->items[1].items[0].boolean);
    EXPECT_EQ(tree->items[1].items[1].text, "x");
    EXPECT_EQ(tree->items[1].items[1].column, 12U);
    EXPECT_EQ(tree->items[2].items[0].kind, TomlValue::Kind::other);
}

TEST(Toml, SaysWhereTheTextBreaks) {
    EXPECT_TRUE(error_of("a = \n").starts_with("t:1:"));
    EXPECT_TRUE(error_of("a = 1\na = 2\n").starts_with("t:2:"));
    EXPECT_TRUE(error_of("[a\n").starts_with("t:1:"));
    EXPECT_EQ(error_of(""), "");
}

TEST(Toml, BytesThatAreNoTextAreErrorsThatATerminalCanShow) {
    for (const std::string& bad : {std::string("a = '\xff\xfe'"), std::string("a = '\x01'"), std::string("\x00", 1),
                                   std::string("a\x1b[31m = 1"), std::string("a = '\xe2\x80\xae' \x1b]0;x\x07")}) {
        const auto said = error_of(bad);
        EXPECT_NE(said, "");
        for (const char c : said)
            EXPECT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) << said;
    }
}

// Each of these overflowed a stack, or would, if nesting were not bounded.
TEST(Toml, DepthIsBounded) {
    const auto repeat = [](std::string_view part, int times) {
        std::string out;
        for (int i = 0; i < times; ++i) out += part;
        return out;
    };
    EXPECT_NE(error_of("a = " + repeat("[", 100'000)), "");
    EXPECT_NE(error_of("a = " + repeat("{a=", 100'000)), "");
    EXPECT_NE(error_of(repeat("a.", 300'000) + "a = 1"), "");
    EXPECT_NE(error_of("[" + repeat("a.", 300'000) + "a]"), "");
    EXPECT_NE(error_of(repeat("\"a\".", 100'000) + "a = 1"), "");
    EXPECT_NE(error_of("x = [ { " + repeat("a.", 100'000) + "a = 1 } ]"), "");
    EXPECT_NE(error_of("x = '''a''' \ny = { " + repeat("'a' . ", 100'000) + "a = 1 }"), "");
    // Quotes at the end of a multi-line string belong to it.
    EXPECT_NE(error_of("x = '''a'''''\n" + repeat("a.", 100'000) + "a = 1"), "");
    EXPECT_NE(error_of("x = \"\"\"\\\"\"\"\"\n" + repeat("a.", 100'000) + "a = 1"), "");
    EXPECT_EQ(error_of("a.b.c.d = 1\nx = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 0.5]"), "");
    EXPECT_EQ(error_of("x = 'a.b.c.d.e.f.g.h.i.j.k.l' # a.b.c.d.e.f.g.h.i.j.k.l"), "");
}

TEST(Toml, CountIsBounded) {
    std::string text = "x = [";
    for (int i = 0; i < 60'000; ++i) text += "1,";
    EXPECT_NE(error_of(text + "]"), "");
    Diagnostics diagnostics;
    EXPECT_TRUE(parse_toml(text + "]", "t", diagnostics, {.noun = "policy", .most_values = 100'000}));
    EXPECT_FALSE(parse_toml("x = [1, 2, 3]", "t", diagnostics, {.noun = "policy", .most_values = 3}));
    EXPECT_EQ(diagnostics.all()[0].text(), "t:1:1: error: more than 3 values in one file\n  no policy is that long");
}

}  // namespace bpfwarden
