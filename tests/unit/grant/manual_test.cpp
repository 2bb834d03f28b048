// SPDX-License-Identifier: Apache-2.0
// bpfwarden-grant(5) against the tables: whatever the language has, the manual has.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "grant/danger.hpp"
#include "grant/enforcement.hpp"
#include "grant/facts.hpp"
#include "grant/groups.hpp"
#include "grant/schema.hpp"

namespace bpfwarden::grant {

class Manual : public ::testing::Test {
  protected:
    void SetUp() override {
        std::ifstream file(std::string(BPFWARDEN_SOURCE) + "/man/bpfwarden-grant.5");
        text_.assign(std::istreambuf_iterator<char>(file), {});
        ASSERT_FALSE(text_.empty());
    }
    // In bold, as roff has it: "\fBNAME\fR", or a tagged paragraph ".B NAME" / ".BR NAME …". A hyphen is written "\-".
    bool has(std::string_view name) const {
        std::string roff;
        for (const char c : name) (c == '-' ? roff += '\\' : roff) += c;
        return text_.find("\\fB" + roff + "\\fR") != std::string::npos ||
               text_.find(".B " + roff + "\n") != std::string::npos ||
               text_.find(".BR " + roff + " ") != std::string::npos;
    }
    std::string text_;
};

TEST_F(Manual, HasEveryKey) {
    for (const auto& key : all_keys()) EXPECT_TRUE(has(key.name)) << key.table << "." << key.name;
    for (const auto table : all_tables()) EXPECT_TRUE(has("[" + std::string(table) + "]")) << table;
}
TEST_F(Manual, HasEveryGroup) {
    for (const auto& group : builtin_groups()) EXPECT_TRUE(has("@" + std::string(group.name))) << group.name;
}
TEST_F(Manual, HasEveryDanger) {
    for (const auto& danger : all_dangers()) EXPECT_TRUE(has(danger.name)) << danger.name;
}
TEST_F(Manual, HasEveryFeatureAndCapability) {
    for (const auto& feature : all_verifier_features()) EXPECT_TRUE(has(feature.name)) << feature.name;
    for (const auto& capability : all_capability_facts()) EXPECT_TRUE(has(capability.name)) << capability.name;
}
TEST_F(Manual, SaysWhoEnforces) {
    for (const auto& key : enforced_keys()) EXPECT_NE(text_.find(key), std::string::npos) << key;
}

}  // namespace bpfwarden::grant
