// SPDX-License-Identifier: Apache-2.0
#include "grant/templates.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "grant/enforcement.hpp"
#include "grants.hpp"

namespace bpfwarden::grant {

TEST(Templates, PassTheCheckAsTheyAre) {
    for (const auto& one : all_templates())
        for (const char* user : {"", "alice", "a\"b"}) {
            const auto text = fill_template(one.name, "mine", user);
            ASSERT_TRUE(text);
            EXPECT_THAT(messages(*text), ::testing::IsEmpty()) << one.name;
            const auto grant = resolved(*text);
            EXPECT_EQ(grant.name, "mine");
            EXPECT_EQ(grant.subject.has_value(), *user != 0);
            EXPECT_THAT(*text, ::testing::Not(::testing::HasSubstr("@NAME@")));
            EXPECT_THAT(*text, ::testing::Not(::testing::HasSubstr("@SUBJECT@")));
        }
}

TEST(Templates, XdpAndCgroupAreFitForAToken) {
    for (const char* name : {"xdp", "cgroup"})
        EXPECT_TRUE(unenforced(resolved(*fill_template(name, "x", "")), Way::token).empty()) << name;
    EXPECT_FALSE(unenforced(resolved(*fill_template("tracing", "x", "")), Way::token).empty());
}

// The lines that a reader may take the "#" from must be right too.
TEST(Templates, TheirSuggestionsAreValid) {
    for (const auto& one : all_templates()) {
        std::istringstream text(*fill_template(one.name, "x", "alice"));
        std::string line, uncommented;
        while (std::getline(text, line))
            uncommented += (line.size() > 1 && line[0] == '#' && line[1] != ' ' ? line.substr(1) : line) + "\n";
        EXPECT_TRUE(checked(uncommented).grant) << ::testing::PrintToString(messages(uncommented)) << uncommented;
    }
}

TEST(Templates, Mistakes) {
    EXPECT_THAT(fill_template("xpd", "x", "").error().text(""), ::testing::HasSubstr("did you mean xdp?"));
    EXPECT_EQ(fill_template("xdp", "X", "").error().code(), Code::usage);
    EXPECT_EQ(fill_template("xdp", "x", "a:b").error().code(), Code::usage);
}

TEST(Examples, PassTheCheckWithoutWarnings) {
    int count = 0;
    for (const char* folder : {"/examples/grants", "/examples/demo"})
        for (const auto& entry : std::filesystem::directory_iterator(std::string(BPFWARDEN_SOURCE) + folder)) {
            if (entry.path().extension() != ".toml") continue;
            ++count;
            const auto checked = check_file(entry.path());
            ASSERT_TRUE(checked);
            for (const auto& one : checked->diagnostics.all()) ADD_FAILURE() << one.text();
        }
    EXPECT_GE(count, 4);
}

}  // namespace bpfwarden::grant
