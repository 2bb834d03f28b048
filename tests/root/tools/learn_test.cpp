// SPDX-License-Identifier: Apache-2.0
// `grant learn` on the programs of the matrix.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "root/tools/just_enough.hpp"
#include "root/tools/matrix.hpp"

namespace bpfwarden::test {
namespace {

class Learn : public ::testing::TestWithParam<Tool> {};

TEST_P(Learn, IsJustEnough) {
    BW_SAME_ON_EVERY_KERNEL();
    const auto& tool = GetParam();
    BW_NEEDS_TOOL(tool.command.front());
    Daemon daemon;
    expect_just_enough(daemon, {.name = tool.grant,
                                .start = of_command(command_of(tool)),
                                .map_root = maps_root(tool),
                                .does_it = [&](Running& running, auto within) {
                                    const bool seen = shows_its_event(running, tool, within);
                                    running.interrupt();
                                    return seen;
                                }});
}

TEST(LearnOne, OfAProgramThatIsLinkedStatically) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon;
    expect_just_enough(daemon, {.name = "getppid-counter",
                                .start = of_command({for_others(daemon, helper("static_watch_getppid")), "1"}),
                                .does_it = [](Running& running, auto within) {
                                    const bool counted = running.says("still counting, at [1-9]", {}, within);
                                    (void)running.wait();
                                    return counted;
                                }});
}

// By the function's name, which the file of the next release has as well, and not by its place.
TEST(LearnOne, AUprobeByItsFunction) {
    BW_SAME_ON_EVERY_KERNEL();
    BW_NEEDS_TOOL("bashreadline");
    Daemon daemon;
    const auto file = daemon.directory() + "/learned.toml";
    Running learning(0, {beside("bin/bpfwarden"), "grant", "learn", "-o", file, "--", find_tool("bashreadline")});
    EXPECT_TRUE(learning.says("COMMAND")) << learning.said();
    learning.interrupt();
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    EXPECT_TRUE(text.str().contains("/bash:readline\",")) << text.str();
}

TEST(LearnOne, IsForRoot) {
    Daemon daemon;
    Running running(nobody, {beside("bin/bpfwarden"), "grant", "learn", "-o", "/tmp/never-written", "--", "/bin/true"});
    EXPECT_EQ(running.wait(), 125);
    EXPECT_TRUE(running.said().contains("grant learn is for root")) << running.said();
}

// It is not begun when what it would write could not be written.
TEST(LearnOne, WritesOverNothing) {
    Daemon daemon;
    const auto file = daemon.directory() + "/there";
    std::ofstream(file) << "what was there";
    Running running(0, {beside("bin/bpfwarden"), "grant", "learn", "-o", file, "--", "/bin/touch", file + "-begun"});
    EXPECT_EQ(running.wait(), 125);
    EXPECT_TRUE(running.said().contains("is there already")) << running.said();
    std::string text;
    std::getline(std::ifstream(file) >> std::noskipws, text);
    EXPECT_EQ(text, "what was there");
    EXPECT_NE(::access((file + "-begun").c_str(), F_OK), 0);
}

TEST(LearnOne, NothingFromACommandThatAsksForNothing) {
    Daemon daemon;
    const auto file = daemon.directory() + "/learned.toml";
    Running running(0, {beside("bin/bpfwarden"), "grant", "learn", "-o", file, "--", "/bin/true"});
    EXPECT_EQ(running.wait(), 125);
    EXPECT_TRUE(running.said().contains("there is nothing to learn")) << running.said();
    EXPECT_NE(::access(file.c_str(), F_OK), 0);
}

INSTANTIATE_TEST_SUITE_P(Tools, Learn, ::testing::ValuesIn(tools()), [](const auto& tool) {
    auto name = tool.param.grant;
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace bpfwarden::test
