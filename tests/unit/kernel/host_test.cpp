// SPDX-License-Identifier: Apache-2.0
// The pure parts of the host report: its table, and its parsers on sample text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "kernel/host.hpp"
#include "kernel/host_facts.hpp"
#include "kernel/host_table.hpp"
#include "kernel/proc_config.hpp"
#include "kernel/sysctl.hpp"

namespace bpfwarden::kernel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(HostTable, HasWholeEntriesWithIdsOfTheirOwn) {
    std::set<std::string_view> ids;
    for (const auto& entry : host_table()) {
        EXPECT_THAT(std::string(entry.id), testing::MatchesRegex("[a-z][a-z0-9_]*"));
        EXPECT_LT(entry.id.size(), 27U) << entry.id << " does not fit its column";
        EXPECT_TRUE(ids.insert(entry.id).second) << entry.id << " twice";
        for (const auto text : {entry.title, entry.needed_by, entry.remedy}) EXPECT_FALSE(text.empty()) << entry.id;
        EXPECT_NE(entry.find, nullptr);
    }
    EXPECT_EQ(host_fact_ids().size(), ids.size());
}

TEST(HostTable, IsInTheOrderOfItsGroups) {
    auto last = HostGroup::token;
    for (const auto& entry : host_table()) {
        EXPECT_GE(entry.group, last) << entry.id;
        last = entry.group;
    }
}

TEST(LsmList, IsReadInOrder) {
    EXPECT_THAT(parse_lsm_list("lockdown,capability,landlock,yama,apparmor,bpf"),
                ElementsAre("lockdown", "capability", "landlock", "yama", "apparmor", "bpf"));
    EXPECT_THAT(parse_lsm_list("capability\n"), ElementsAre("capability"));
    EXPECT_THAT(parse_lsm_list(",a,,b,"), ElementsAre("a", "b"));
    EXPECT_THAT(parse_lsm_list(""), IsEmpty());
    EXPECT_THAT(parse_lsm_list("\n"), IsEmpty());
}

TEST(LsmList, HasBpfOnlyByItsWholeName) {
    EXPECT_EQ(lsm_finding({{"capability", "bpf"}, "a test"}).state, Presence::present);
    EXPECT_EQ(lsm_finding({{"capability", "bpfx"}, "a test"}).state, Presence::absent);
    EXPECT_EQ(lsm_finding({{}, "a test"}).state, Presence::absent);
}

TEST(LsmList, SaysHowToBootWithBpf) {
    const auto boot_list = [](const char* active) { return boot_list_with_bpf(parse_lsm_list(active)); };
    EXPECT_EQ(boot_list("lockdown,capability,landlock,yama,apparmor,tomoyo,ima,evm\n"),
              "lockdown,landlock,yama,apparmor,tomoyo,bpf");
    EXPECT_EQ(boot_list("capability"), "bpf");
    EXPECT_EQ(boot_list("capability,bpf,apparmor"), "apparmor,bpf");
}

TEST(Lockdown, IsTheWordInBrackets) {
    EXPECT_EQ(parse_lockdown("none [integrity] confidentiality\n"), "integrity");
    EXPECT_EQ(parse_lockdown("[none] integrity confidentiality\n"), "none");
    for (const char* bad : {"", "none", "]none[", "[", "none]"}) EXPECT_EQ(parse_lockdown(bad), "") << bad;
}

TEST(Sysctl, NamesBecomePaths) {
    EXPECT_EQ(sysctl_path("kernel.yama.ptrace_scope"), "/proc/sys/kernel/yama/ptrace_scope");
    EXPECT_EQ(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), "/proc/sys/net/ipv4/conf/eth0.1/forwarding");
}

TEST(Sysctl, OneThatDoesNotExistIsNotFound) {
    const auto value = read_sysctl("kernel.no_such_parameter");
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code(), Code::not_found);
    const auto fact = fact_sysctl("kernel.no_such_parameter", {}, "there is none");
    EXPECT_EQ(fact.state, Presence::absent);
    EXPECT_EQ(fact.detail, "there is none");
}

TEST(Bpffs, DelegationIsTakenFromTheMountOptions) {
    EXPECT_EQ(delegation_options("rw,mode=700"), "");
    EXPECT_EQ(delegation_options("rw,delegate_cmds=map_create:prog_load,uid=1,delegate_maps=any"),
              "delegate_cmds=map_create:prog_load,delegate_maps=any");
}

TEST(Bpffs, OnlyBpffsIsListed) {
    const auto table = parse_mount_table(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "40 22 0:40 / /no\\040such\\040place rw shared:3 - bpf bpf rw,mode=700,delegate_cmds=0x10000000000\n");
    const auto mounts = bpffs_mounts(table);
    ASSERT_EQ(mounts.size(), 1U);
    EXPECT_EQ(mounts[0].path, "/no such place");
    EXPECT_EQ(mounts[0].delegated, "delegate_cmds=0x10000000000");
    EXPECT_NE(mounts[0].hidden.find("ENOENT"), std::string::npos) << mounts[0].hidden;
    EXPECT_EQ(mounts[0].mode, 0U);
}

TEST(Names, UnknownCommandsHaveALineEach) {
    const auto known = Names::known().all(NameKind::command);
    std::vector<NamedValue> running(known.begin(), known.end());
    const auto same = compare_names("a test", NameKind::command, running);
    EXPECT_EQ(same.state, Presence::present);
    EXPECT_EQ(same.detail.find('\n'), std::string::npos);
    running.push_back({"prog_sing", 99});
    running.push_back({"map_fold", 100});
    const auto more = compare_names("a test", NameKind::command, running);
    EXPECT_EQ(more.state, Presence::absent);
    EXPECT_THAT(more.detail, testing::EndsWith("; refused by default:\nprog_sing (99)\nmap_fold (100)"));
    // A kernel with fewer is no concern.
    EXPECT_EQ(compare_names("a test", NameKind::command, std::span(running).first(3)).state, Presence::present);
}

TEST(Names, OtherUnknownNamesShareALine) {
    const auto found = compare_names("a test", NameKind::helper, std::vector<NamedValue>{{"one", 9001}, {"two", 9002}});
    EXPECT_EQ(found.state, Presence::absent);
    EXPECT_THAT(found.detail, testing::EndsWith("not known, so refused by default: one (9001), two (9002)"));
}

TEST(KernelConfig, IsReadWithoutWhatIsNotSet) {
    const auto options = parse_kernel_config(
        "# Linux/x86 Configuration\nCONFIG_BPF_LSM=y\n# CONFIG_IMA is not set\nCONFIG_LSM=\"a,b=c\"\nCONFIG_X\n\n");
    EXPECT_EQ(options.size(), 2U);
    EXPECT_EQ(options.at("CONFIG_BPF_LSM"), "y");
    EXPECT_EQ(options.at("CONFIG_LSM"), "\"a,b=c\"");
}

}  // namespace
}  // namespace bpfwarden::kernel
