// SPDX-License-Identifier: Apache-2.0
// Whole outputs against tests/golden/audit. BPFWARDEN_UPDATE_GOLDEN=1 writes them anew: read the diff before you
// commit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "unit/grant/program.hpp"

namespace bpfwarden {

struct AuditCall {
    const char* file;  // NAME.out
    std::vector<std::string> args;
};
static void PrintTo(const AuditCall& call, std::ostream* out) { *out << call.file; }

class AuditGolden : public ::testing::TestWithParam<AuditCall> {};

TEST_P(AuditGolden, IsAsRecorded) {
    const std::string folder = std::string(BPFWARDEN_SOURCE) + "/tests/golden/audit";
    auto args = GetParam().args;
    args.insert(args.begin(), "audit");
    args.insert(args.end(), {"--file", "audit.jsonl"});
    const auto got = bpfwarden_run(args, "", folder);
    std::string text = "$ bpfwarden";
    for (const auto& arg : args) text += " " + arg;
    text += "\n" + got.out;
    if (!got.err.empty()) text += "--- stderr\n" + got.err;
    text += "--- exit status " + std::to_string(got.status) + "\n";
    const std::string path = folder + "/" + GetParam().file + ".out";
    if (std::getenv("BPFWARDEN_UPDATE_GOLDEN")) {
        std::ofstream(path) << text;
        return;
    }
    std::ifstream file(path);
    const std::string expected(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(text, expected) << path;
}

INSTANTIATE_TEST_SUITE_P(All, AuditGolden,
                         ::testing::Values(AuditCall{"query", {"query"}}, AuditCall{"query-json", {"query", "--json"}},
                                           AuditCall{"query-strict", {"query", "--strict", "--lines", "0"}},
                                           AuditCall{"query-refused",
                                                     {"query", "--verdict", "refused", "--uid", "1002"}},
                                           AuditCall{"tail", {"tail", "--lines", "3"}}, AuditCall{"stats", {"stats"}},
                                           AuditCall{"stats-json", {"stats", "--json"}},
                                           AuditCall{"stats-grant", {"stats", "--grant", "agent"}}),
                         [](const auto& call) {
                             std::string name = call.param.file;
                             for (char& c : name)
                                 if (c == '-') c = '_';
                             return name;
                         });

}  // namespace bpfwarden
