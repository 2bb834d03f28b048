// SPDX-License-Identifier: Apache-2.0
// A program that is linked statically: no preloaded library sees its calls, and the kernel asks all the same.
#include <elf.h>
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "root/tools/tool.hpp"

namespace bpfwarden::test {
namespace {

using ::testing::HasSubstr;
using Grants = std::map<std::string, std::string>;

const std::string grant = "getppid-counter", program = "static_watch_getppid";

// Without a dynamic linker.
bool is_static(const std::string& path) {
    std::ifstream file(path);
    std::stringstream content;
    content << file.rdbuf();
    const auto bytes = content.str();
    Elf64_Ehdr header{};
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (int i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr part{};
        const auto at = header.e_phoff + static_cast<std::size_t>(i) * sizeof part;
        if (at + sizeof part > bytes.size()) return false;
        std::memcpy(&part, bytes.data() + at, sizeof part);
        if (part.p_type == PT_INTERP) return false;
    }
    return true;
}

TEST(Static, CountsAndEndsWithItsSession) {
    Daemon daemon(Grants{{grant, example_grant(grant)}});
    const auto copy = for_others(daemon, helper(program));
    EXPECT_TRUE(is_static(copy));
    auto running = Running::under_grant(grant, {copy, "60"});
    ASSERT_TRUE(running.says("uid 65534, loaded and attached")) << running.said();
    ASSERT_TRUE(running.says("counting")) << running.said();
    const auto sessions = daemon.sessions();
    ASSERT_EQ(sessions.size(), 1U);
    EXPECT_EQ(daemon.tool({"session", "revoke", sessions.front()}).status, 0);
    EXPECT_TRUE(running.says("stopped at [1-9][0-9]*: 10 more calls, and none was counted")) << running.said();
    EXPECT_EQ(running.wait(), 0);
}

TEST(Static, NothingWithOneEntryLess) {
    Daemon daemon(Grants{{grant, without(example_grant(grant), "map_lookup_elem")}});
    auto running = Running::under_grant(grant, {for_others(daemon, helper(program)), "1"});
    EXPECT_EQ(running.wait(), 1) << running.said();
    EXPECT_THAT(running.said(), HasSubstr("cannot load and attach: Operation not permitted"));
    EXPECT_THAT(running.said(), HasSubstr("helper map_lookup_elem is not in helpers"));
}

TEST(Static, NothingWithoutAGrant) {
    Daemon daemon;
    Running running(nobody, {for_others(daemon, helper(program)), "1"});
    EXPECT_EQ(running.wait(), 1) << running.said();
    EXPECT_THAT(running.said(), HasSubstr("cannot load and attach: Operation not permitted"));
}

}  // namespace
}  // namespace bpfwarden::test
