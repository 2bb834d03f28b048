// SPDX-License-Identifier: Apache-2.0
// The rest of libbpf-tools and bcc's Python tools: whatever root can use on this kernel, nobody can under a grant that
// is learned from root's use of it. In a soak.
#include <unistd.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "root/tools/tool.hpp"

namespace bpfwarden::test {
namespace {

// Of Debian 12: by name, with the arguments without which they do nothing.
const std::vector<Words> all = {{"bashreadline"},
                                {"bindsnoop"},
                                {"biopattern"},
                                {"biosnoop"},
                                {"biostacks", "1"},
                                {"biotop"},
                                {"bitesize"},
                                {"cachestat"},
                                {"capable"},
                                {"cpudist"},
                                {"cpufreq"},
                                {"drsnoop"},
                                {"filelife"},
                                {"filetop"},
                                {"fsdist", "-t", "ext4"},
                                {"fsslower", "-t", "ext4"},
                                {"funclatency", "vfs_read"},
                                {"gethostlatency"},
                                {"hardirqs"},
                                {"klockstat"},
                                {"llcstat", "1"},
                                {"mdflush"},
                                {"mountsnoop"},
                                {"numamove"},
                                {"offcputime", "1"},
                                {"oomkill"},
                                {"profile", "1"},
                                {"readahead"},
                                {"runqlat"},
                                {"runqlen"},
                                {"runqslower"},
                                {"sigsnoop"},
                                {"slabratetop"},
                                {"softirqs"},
                                {"solisten"},
                                {"statsnoop"},
                                {"swapin"},
                                {"syncsnoop"},
                                {"tcpconnect"},
                                {"tcpconnlat"},
                                {"tcplife"},
                                {"tcprtt"},
                                {"tcpstates"},
                                {"tcpsynbl"},
                                {"tcptop"},
                                {"tcptracer"},
                                {"vfsstat"},
                                {"wakeuptime", "1"},
                                {"execsnoop-bpfcc"},
                                {"opensnoop-bpfcc"},
                                {"exitsnoop-bpfcc"},
                                {"biolatency-bpfcc"},
                                {"syscount-bpfcc"},
                                {"killsnoop-bpfcc"},
                                {"statsnoop-bpfcc"},
                                {"tcplife-bpfcc"}};

struct Shown {
    int status = 0;
    std::string text;
    // Which of its complaints, if any.
    std::string complaint() const {
        static const std::regex bad(
            "[^\n]*(failed to|[Ff]ailed|[Ee]rror|Exception|[Cc]annot|[Uu]nable|[Uu]sage:)[^\n]*");
        // Names of other processes' functions are nothing that BPF gives.
        static const std::regex known("failed to get syms|couldn't set RLIMIT_MEMLOCK");
        for (std::sregex_iterator at(text.begin(), text.end(), bad), end; at != end; ++at)
            if (!std::regex_search((*at)[0].str(), known)) return (*at)[0].str();
        return "";
    }
};

// For some seconds, or until it ends by itself.
Shown watched(Running running) {
    (void)running.says("$^", {}, std::chrono::seconds(emulated() ? 8 : 3));
    const int status = running.interrupt();
    return {status, running.said()};
}

class Sweep : public ::testing::TestWithParam<Words> {};

TEST_P(Sweep, WhatRootCanUseNobodyCanUnderALearnedGrant) {
    BW_IN_A_SOAK();
    auto command = GetParam();
    BW_NEEDS_TOOL(command.front());
    command.front() = find_tool(command.front());
    const auto by_root = watched(Running(0, command));
    if (const auto complaint = by_root.complaint(); !complaint.empty())
        GTEST_SKIP() << "root itself cannot use it here: " << complaint.substr(0, 160);

    Daemon daemon;
    const auto file = daemon.directory() + "/learned.toml";
    Words learn{beside("bin/bpfwarden"),
                "grant",
                "learn",
                "--user",
                "nobody",
                "--map-root",
                "--name",
                "learned",
                "-o",
                file,
                "--"};
    learn.insert(learn.end(), command.begin(), command.end());
    const auto learning = watched(Running(0, learn));
    if (learning.text.contains("failed to iterate BTF objects"))
        GTEST_SKIP() << "it looks for types of modules by number, which no session answers";
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    ASSERT_FALSE(text.str().empty()) << learning.text;
    daemon.write_grant("learned", text.str());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto by_nobody = watched(Running::under_grant("learned", command, true));
    EXPECT_EQ(by_nobody.complaint(), "") << text.str();
    // Whether Ctrl-C is met before or after it is waited for.
    EXPECT_TRUE(by_nobody.status == 0 || by_nobody.status == 130 || by_nobody.status == by_root.status)
        << by_nobody.status << '\n'
        << by_nobody.text;
}

INSTANTIATE_TEST_SUITE_P(, Sweep, ::testing::ValuesIn(all), [](const auto& command) {
    auto name = command.param.front();
    for (char& c : name)
        if (c == '-') c = '_';
    return name;
});

}  // namespace
}  // namespace bpfwarden::test
