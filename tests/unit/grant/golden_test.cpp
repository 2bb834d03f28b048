// SPDX-License-Identifier: Apache-2.0
// Whole outputs against tests/golden/grant. BPFWARDEN_UPDATE_GOLDEN=1 writes them anew: read the diff before you
// commit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "program.hpp"

namespace bpfwarden {

struct Golden {
    const char* file;  // NAME.out
    std::vector<std::string> args;
};
static void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.file; }

class GrantGolden : public ::testing::TestWithParam<Golden> {};

TEST_P(GrantGolden, IsAsRecorded) {
    const std::string folder = std::string(BPFWARDEN_SOURCE) + "/tests/golden/grant";
    auto args = GetParam().args;
    args.insert(args.begin(), "grant");
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

INSTANTIATE_TEST_SUITE_P(
    All, GrantGolden,
    ::testing::Values(Golden{"check-good", {"check", "observer.toml", "firewall.toml", "everything.toml"}},
                      Golden{"check-bad", {"check", "bad.toml"}}, Golden{"check-syntax", {"check", "syntax.toml"}},
                      Golden{"check-danger", {"check", "danger.toml"}},
                      Golden{"check-json", {"check", "--json", "danger.toml", "observer.toml"}},
                      Golden{"show-observer", {"show", "observer.toml"}},
                      Golden{"show-firewall", {"show", "firewall.toml"}},
                      Golden{"show-everything", {"show", "everything.toml"}},
                      Golden{"show-json", {"show", "--json", "observer.toml"}},
                      Golden{"explain-allowed",
                             {"explain", "observer.toml", "prog_load", "tracepoint", "helper=probe_read_user"}},
                      Golden{"explain-refused", {"explain", "observer.toml", "map_create", "lpm_trie"}},
                      Golden{"explain-target",
                             {"explain", "firewall.toml", "attach", "cgroup_inet4_connect", "cgroup=/system.slice"}},
                      Golden{"explain-implied", {"explain", "observer.toml", "prog_load", "socket_filter"}},
                      Golden{"explain-json", {"explain", "--json", "observer.toml", "map_create", "lpm_trie"}},
                      Golden{"diff-wider", {"diff", "observer.toml", "observer-2.toml"}},
                      Golden{"diff-narrower", {"diff", "observer-2.toml", "observer-3.toml"}},
                      Golden{"diff-same", {"diff", "observer.toml", "observer.toml"}},
                      Golden{"diff-json", {"diff", "--json", "observer.toml", "observer-2.toml"}},
                      Golden{"init-xdp", {"init", "--template", "xdp", "--name", "my-xdp", "--user", "alice"}},
                      Golden{"init-tracing", {"init", "--template", "tracing"}},
                      Golden{"init-cgroup", {"init", "--template", "cgroup"}}),
    [](const auto& golden) {
        std::string name = golden.param.file;
        for (char& c : name)
            if (c == '-') c = '_';
        return name;
    });

}  // namespace bpfwarden
