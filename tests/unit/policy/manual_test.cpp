// SPDX-License-Identifier: Apache-2.0
// bpfwarden-policy(5) and docs/policy.md against the tables: whatever the language has, the pages have.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "policy/operations.hpp"
#include "policy/schema.hpp"

namespace bpfwarden::policy {

static std::string text_of(const std::string& name) {
    std::ifstream file(std::string(BPFWARDEN_SOURCE) + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
}

class PolicyManual : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_FALSE(text_.empty()); }
    // In bold, as roff has it: "\fBNAME\fR", or a tagged paragraph ".B NAME" / ".BR NAME …". A hyphen is written "\-".
    bool has(const std::string& name) const {
        return text_.find("\\fB" + name + "\\fR") != std::string::npos ||
               text_.find(".B " + name + "\n") != std::string::npos ||
               text_.find(".BR " + name + " ") != std::string::npos;
    }
    const std::string text_ = text_of("man/bpfwarden-policy.5");
};

TEST_F(PolicyManual, HasEveryKey) {
    for (const auto& key : all_keys()) EXPECT_TRUE(has(std::string(key.name))) << key.table << "." << key.name;
}
TEST_F(PolicyManual, HasEveryOperationAndGroup) {
    for (const auto& operation : all_operations()) EXPECT_TRUE(has(std::string(operation.name))) << operation.name;
    for (const auto& group : all_groups()) EXPECT_TRUE(has("@" + std::string(group.name))) << group.name;
    EXPECT_TRUE(has("@all"));
}
TEST_F(PolicyManual, HasEveryFamily) {
    for (const auto& family : all_families()) EXPECT_TRUE(has(std::string(family.name))) << family.name;
}
TEST_F(PolicyManual, ThePageOfTheLanguageHasEveryOperation) {
    const auto page = text_of("docs/policy.md");
    for (const auto& operation : all_operations())
        EXPECT_NE(page.find("`" + std::string(operation.name) + "`"), std::string::npos) << operation.name;
}

}  // namespace bpfwarden::policy
