// SPDX-License-Identifier: Apache-2.0
// Tracing tools of libbpf-tools and bpftrace, as Debian has them: nobody sees under a grant what root sees without one,
// and nothing with one entry of the grant less.
#include <gmock/gmock.h>

#include <algorithm>

#include "root/tools/matrix.hpp"

namespace bpfwarden::test {
namespace {

using ::testing::HasSubstr;
using Grants = std::map<std::string, std::string>;

class Snoops : public ::testing::TestWithParam<Tool> {
  protected:
    void SetUp() override {
        if (maps_root(tool))  // bpftrace compiles for long there
            BW_IN_ONE_GUEST(tool.grant == "statsnoop" ? "floor" : tool.grant == "bpftrace-execs" ? "lts" : "edge");
        BW_NEEDS_TOOL(tool.command.front());
    }
    Running start() const { return Running::under_grant(tool.grant, command_of(tool), maps_root(tool)); }

    const Tool& tool = GetParam();
};

TEST_P(Snoops, NobodySeesWhatRootSees) {
    {
        // The control: what it says without a grant, as root.
        Running by_root(0, command_of(tool));
        const bool seen = shows_its_event(by_root, tool);
        by_root.interrupt();
        if (!seen)
            GTEST_SKIP() << "this kernel lacks what " << tool.grant
                         << " needs: root sees nothing either: " << by_root.said().substr(0, 400);
    }
    Daemon daemon(Grants{{tool.grant, example_grant(tool.grant)}});
    auto running = start();
    EXPECT_TRUE(shows_its_event(running, tool)) << running.said();
    const auto session = daemon.sessions();
    EXPECT_EQ(session.size(), 1U);
    running.interrupt();
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST_P(Snoops, NothingWithOneEntryLess) {
    Daemon daemon(Grants{{tool.grant, without(example_grant(tool.grant), tool.taken_out)}});
    auto running = start();
    EXPECT_FALSE(shows_its_event(running, tool)) << running.said();
    EXPECT_NE(running.wait(), 0);
    EXPECT_THAT(running.said(), HasSubstr("bpfwarden run: refused"));
    EXPECT_THAT(running.said(), HasSubstr(tool.reason));
}

INSTANTIATE_TEST_SUITE_P(, Snoops, ::testing::ValuesIn(tools()), [](const auto& tool) {
    auto name = tool.param.grant;
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace bpfwarden::test
