// SPDX-License-Identifier: Apache-2.0
// Whole outputs of bpfwarden against tests/golden/FOLDER. BPFWARDEN_UPDATE_GOLDEN=1 writes them anew: read the diff
// before you commit.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <vector>

#include "unit/grant/program.hpp"

namespace bpfwarden {

struct Golden {
    const char* file;  // NAME.out
    std::vector<std::string> args;
};
inline void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.file; }

// For the last argument of INSTANTIATE_TEST_SUITE_P.
inline std::string golden_name(const ::testing::TestParamInfo<Golden>& golden) {
    std::string name = golden.param.file;
    for (char& c : name)
        if (c == '-') c = '_';
    return name;
}

// Runs `bpfwarden FOLDER ARGS…` in tests/golden/FOLDER of the SOURCE tree.
inline void expect_golden(const std::string& source, const std::string& folder_name, const Golden& golden,
                          const std::vector<std::string>& more = {}) {
    const std::string folder = source + "/tests/golden/" + folder_name;
    auto args = golden.args;
    args.insert(args.begin(), folder_name);
    args.insert(args.end(), more.begin(), more.end());
    const auto got = bpfwarden_run(args, "", folder);
    std::string text = "$ bpfwarden";
    for (const auto& arg : args) text += " " + arg;
    text += "\n" + got.out;
    if (!got.err.empty()) text += "--- stderr\n" + got.err;
    text += "--- exit status " + std::to_string(got.status) + "\n";
    const std::string path = folder + "/" + golden.file + ".out";
    if (std::getenv("BPFWARDEN_UPDATE_GOLDEN")) {
        std::ofstream(path) << text;
        return;
    }
    std::ifstream file(path);
    const std::string expected(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(text, expected) << path;
}

}  // namespace bpfwarden
