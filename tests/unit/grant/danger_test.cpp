// SPDX-License-Identifier: Apache-2.0
#include "grant/danger.hpp"

#include <gmock/gmock.h>

#include <algorithm>

#include "grants.hpp"

namespace bpfwarden::grant {

static std::vector<std::string> names(const std::vector<DangerNeed>& needs) {
    std::vector<std::string> out;
    for (const auto& need : needs) out.emplace_back(need.danger->name);
    std::ranges::sort(out);
    return out;
}
static std::vector<std::string> dangers(const std::string& lines) { return names(dangers_of(allowing(lines))); }

using Names = std::vector<std::string>;

TEST(Danger, EachComesFromItsCause) {
    for (const char* type : {"kprobe", "tracepoint", "raw_tracepoint", "perf_event", "tracing"})
        EXPECT_EQ(dangers("program_types = ['" + std::string(type) + "']"), Names{"kernel_read"}) << type;
    EXPECT_EQ(dangers("program_types = ['raw_tracepoint_writable']"), (Names{"kernel_read", "kernel_write"}));
    EXPECT_EQ(dangers("program_types = ['lsm']"), (Names{"kernel_read", "lsm"}));
    EXPECT_EQ(dangers("program_types = ['struct_ops']"), Names{"struct_ops"});
    EXPECT_EQ(dangers("program_types = ['ext']"), Names{"ext"});
    EXPECT_EQ(dangers("program_types = ['syscall']"), Names{"syscall"});
    EXPECT_EQ(dangers("capabilities = ['perfmon']"), Names{"kernel_read"});
    EXPECT_EQ(dangers("capabilities = ['sys_admin']"), (Names{"kernel_read", "namespace_admin"}));
    EXPECT_EQ(dangers("program_types = ['tracing']\nattach_types = ['modify_return']"),
              (Names{"kernel_read", "kernel_write"}));
}

TEST(Danger, HarmlessGrantsNeedNothing) {
    EXPECT_EQ(dangers("program_types = ['xdp', 'cgroup_skb', 'socket_filter']\nmap_types = ['any']\nhelpers = ['any']\n"
                      "kfuncs = ['any']\nverifier = ['any']\ncapabilities = ['bpf', 'net_admin']"),
              Names{});
}

TEST(Danger, HelpersCountOnlyWhereTheyCanBeCalled) {
    EXPECT_EQ(dangers("program_types = ['xdp']\nhelpers = ['probe_write_user', 'send_signal', 'override_return']"),
              Names{});
    EXPECT_EQ(dangers("program_types = ['kprobe']\nhelpers = ['@tracing_write']"),
              (Names{"kernel_read", "kernel_write", "send_signal", "user_memory_write"}));
    EXPECT_EQ(dangers("program_types = ['tracepoint']\nhelpers = ['override_return']"), Names{"kernel_read"});
    EXPECT_EQ(dangers("program_types = ['tracepoint']\nhelpers = ['any']"),
              (Names{"kernel_read", "send_signal", "user_memory_write"}));
}

TEST(Danger, PointsAtTheFirstLineThatNeedsIt) {
    const auto needs =
        dangers_of(allowing("capabilities = ['perfmon']\nprogram_types = ['xdp',\n 'tracepoint', 'kprobe']"));
    ASSERT_EQ(needs.size(), 1U);
    EXPECT_EQ(needs[0].at.line, 3U);
    EXPECT_EQ(needs[0].what, "capability perfmon");
}

TEST(Danger, AGrantWithoutTheAcknowledgementIsRefused) {
    const std::string allow =
        "[allow]\nprogram_types = ['tracepoint']\ncapabilities = ['bpf', 'perfmon']\n"
        "[targets]\ntracepoints = ['any']\n";
    EXPECT_THAT(message("format = 1\n" + allow),
                ::testing::StartsWith("3:18: error: program type tracepoint needs dangerous = [\"kernel_read\"] | this "
                                      "grant lets its programs read all memory of the kernel"));
    EXPECT_FALSE(checked("format = 1\n" + allow).grant);
    EXPECT_TRUE(checked("format = 1\ndangerous = ['kernel_read']\n" + allow).grant);
}

TEST(Danger, AcknowledgementMistakes) {
    EXPECT_THAT(
        message("format = 1\ndangerous = ['kernel_reed']"),
        ::testing::AllOf(::testing::StartsWith("2:14: error: \"kernel_reed\" is no danger | there are kernel_read, "),
                         ::testing::HasSubstr("did you mean \"kernel_read\"?")));
    EXPECT_THAT(message("format = 1\ndangerous = ['any']"),
                ::testing::HasSubstr("each danger is acknowledged by its own name"));
    EXPECT_THAT(message("format = 1\ndangerous = ['lsm']"),
                ::testing::StartsWith("2:14: warning: nothing in this grant needs \"lsm\""));
    EXPECT_THAT(message("format = 1\ndangerous = ['host_network']"),
                ::testing::HasSubstr("nothing in this grant needs"));
    EXPECT_TRUE(messages("format = 1\ndangerous = ['host_network']\n[allow]\nprogram_types = ['xdp']\n"
                         "capabilities = ['bpf', 'net_admin']\n")
                    .empty());
}

TEST(UseTimeDanger, NetworkProgramsInTheHostsNetwork) {
    const auto grant = allowing("program_types = ['xdp', 'socket_filter']");
    EXPECT_EQ(names(use_time_dangers(grant, {.way = Way::token, .host_network = true})), Names{"host_network"});
    EXPECT_EQ(names(use_time_dangers(grant, {.way = Way::token})), Names{});
    EXPECT_EQ(names(use_time_dangers(allowing("program_types = ['socket_filter']"), {.host_network = true})), Names{});
    EXPECT_FALSE(use_time_dangers(grant, {.host_network = true})[0].acknowledged);
    EXPECT_TRUE(use_time_dangers(resolved("format = 1\ndangerous = ['host_network']\n[allow]\nprogram_types = ['xdp']"),
                                 {.host_network = true})[0]
                    .acknowledged);
    for (const char* type : {"sched_cls", "netfilter", "sk_lookup", "flow_dissector"})
        EXPECT_EQ(
            names(use_time_dangers(allowing("program_types = ['" + std::string(type) + "']"), {.host_network = true})),
            Names{"host_network"})
            << type;
}

TEST(UseTimeDanger, CgroupProgramsOutsideTheirContainment) {
    const auto grant = allowing("program_types = ['cgroup_skb']");
    EXPECT_EQ(names(use_time_dangers(grant, {.way = Way::token})), Names{});
    EXPECT_EQ(names(use_time_dangers(grant, {.way = Way::token, .host_cgroups = true})), Names{"host_cgroups"});
    EXPECT_EQ(names(use_time_dangers(grant, {.way = Way::session})), Names{"host_cgroups"});
    const auto named = resolved("format = 1\n[allow]\nprogram_types = ['cgroup_skb']\n[targets]\ncgroups = ['/a/**']");
    EXPECT_EQ(names(use_time_dangers(named, {.way = Way::session})), Names{});
    EXPECT_EQ(names(use_time_dangers(named, {.way = Way::token, .host_cgroups = true})), Names{"host_cgroups"})
        << "a token holds no targets";
    EXPECT_EQ(names(use_time_dangers(allowing("program_types = ['lsm']\nattach_types = ['lsm_cgroup']"),
                                     {.host_cgroups = true})),
              Names{"host_cgroups"});
}

}  // namespace bpfwarden::grant
