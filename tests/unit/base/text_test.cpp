// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace bpfwarden {

TEST(Nearest, FindsASlipAndNothingFar) {
    const std::string_view words[] = {"program_types", "map_types", "attach_types"};
    EXPECT_EQ(nearest("map_type", words), "map_types");
    EXPECT_EQ(nearest("progam_types", words), "program_types");
    EXPECT_EQ(nearest("MAP_TYPES", words), "map_types");
    EXPECT_EQ(nearest("colour", words), std::nullopt);
    EXPECT_EQ(nearest("", words), std::nullopt);
}

struct GlobCase {
    const char *pattern, *text;
    bool matches;
};

TEST(Glob, Matches) {
    for (const auto& [pattern, text, matches] : {
             GlobCase{"syscalls/sys_*_execve", "syscalls/sys_enter_execve", true},
             GlobCase{"syscalls/sys_*_execve", "syscalls/sys_enter_execveat", false},
             GlobCase{"*", "eth0", true},
             GlobCase{"*", "a/b", false},
             GlobCase{"**", "a/b/c", true},
             GlobCase{"/system.slice/**/x", "/system.slice/a/b/x", true},
             GlobCase{"/system.slice/*/x", "/system.slice/a/b/x", false},
             GlobCase{"eth[0-3]", "eth2", true},
             GlobCase{"eth[0-3]", "eth4", false},
             GlobCase{"eth[!0-3]", "eth4", true},
             GlobCase{"a?c", "abc", true},
             GlobCase{"a?c", "a/c", false},
             GlobCase{"a\\*c", "a*c", true},
             GlobCase{"a\\*c", "abc", false},
             GlobCase{"", "", true},
             GlobCase{"", "a", false},
             GlobCase{"**/b*d", "x/y/bccd", true},
             GlobCase{"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaa", false},
             GlobCase{"[", "[", true},
         })
        EXPECT_EQ(glob_match(pattern, text), matches) << pattern << " on " << text;
}

TEST(Size, ReadsUnitsAndRefusesTheRest) {
    EXPECT_EQ(parse_size("64MiB"), 64ULL << 20);
    EXPECT_EQ(parse_size("4096"), 4096U);
    EXPECT_EQ(parse_size("1TiB"), 1ULL << 40);
    for (const char* bad : {"", "MiB", "64MB", "-1", "1.5GiB", "99999999999TiB", "1MiB2", " 1MiB"})
        EXPECT_FALSE(parse_size(bad)) << bad;
    EXPECT_EQ(format_size(64ULL << 20), "64MiB");
    EXPECT_EQ(format_size(1025), "1025B");
}

TEST(Duration, ReadsUnitsAndRefusesTheRest) {
    EXPECT_EQ(parse_duration_ms("8h"), 8U * 3600 * 1000);
    EXPECT_EQ(parse_duration_ms("1h30m"), 90U * 60 * 1000);
    EXPECT_EQ(parse_duration_ms("500ms"), 500U);
    for (const char* bad : {"", "8", "h", "8 h", "1.5h", "99999999999999999999h", "-1s"})
        EXPECT_FALSE(parse_duration_ms(bad)) << bad;
    EXPECT_EQ(format_duration_ms(5'400'000), "1h30m");
}

TEST(Quoted, EscapesWhatATerminalWouldActOn) { EXPECT_EQ(quoted("a\x1b[31m\"b"), "\"a\\x1b[31m\\\"b\""); }

}  // namespace bpfwarden
