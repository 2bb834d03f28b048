// SPDX-License-Identifier: Apache-2.0
#include "grant/lint.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

static std::vector<std::string> said(const std::string& lines) { return messages("format = 1\n" + lines); }

TEST(Lint, CapabilitiesThatTheKernelWillAskFor) {
    EXPECT_THAT(
        said("[allow]\nprogram_types = ['xdp']\ncapabilities = ['bpf']"),
        Contains(StartsWith("3:18: warning: program type xdp is allowed without the capability net_admin | every "
                            "load will be refused by the kernel | add \"net_admin\" to capabilities")));
    EXPECT_THAT(said("dangerous = ['kernel_read']\n[allow]\nprogram_types = ['tracepoint']\ncapabilities = ['bpf']\n"
                     "[targets]\ntracepoints = ['any']"),
                ::testing::ElementsAre(HasSubstr("without the capability perfmon")));
    EXPECT_THAT(said("[allow]\nprogram_types = ['socket_filter']"),
                ::testing::ElementsAre(HasSubstr("loading programs is allowed without the capability bpf")));
    EXPECT_THAT(said("[allow]\nmap_types = ['hash']"),
                ::testing::ElementsAre(HasSubstr("creating maps is allowed without")));
    EXPECT_THAT(said("[allow]\nmap_types = ['sockmap']\ncapabilities = ['bpf']"),
                ::testing::ElementsAre(HasSubstr("map type sockmap is allowed without the capability net_admin")));
    EXPECT_THAT(
        said("[allow]\nprogram_types = ['socket_filter']\nverifier = ['pointer_leaks']\ncapabilities = ['bpf']"),
        ::testing::ElementsAre(HasSubstr("verifier feature pointer_leaks is allowed without the capability perfmon")));
    EXPECT_THAT(said("dangerous = ['namespace_admin', 'kernel_read']\n[allow]\nprogram_types = ['xdp']\nmap_types = "
                     "['sockmap']\ncapabilities = ['sys_admin']"),
                IsEmpty());
    EXPECT_THAT(
        said("[allow]\nprogram_types = ['xdp']\nmap_types = ['any']\nverifier = ['any']\ncapabilities = ['bpf', "
             "'net_admin']"),
        IsEmpty())
        << "of `any` it is plain that not all is meant";
}

TEST(Lint, AttachTypesWithoutTheirPrograms) {
    EXPECT_THAT(
        said("[allow]\nprogram_types = ['xdp']\nattach_types = ['cgroup_inet4_connect']\ncapabilities = ['bpf', "
             "'net_admin']"),
        ::testing::ElementsAre(StartsWith(
            "4:17: warning: no allowed program type attaches as cgroup_inet4_connect | it is for cgroup_sock_addr")));
    EXPECT_THAT(said("[allow]\nprogram_types = ['cgroup_sock_addr']\ncapabilities = ['bpf', 'net_admin']"),
                ::testing::ElementsAre(HasSubstr("cgroup_sock_addr programs can be attached nowhere")));
    EXPECT_THAT(said("[allow]\nprogram_types = ['sched_cls']\ncapabilities = ['bpf', 'net_admin']"), IsEmpty());
}

TEST(Lint, TargetsThatMeanNothing) {
    EXPECT_THAT(
        said("[allow]\nprogram_types = ['xdp']\ncapabilities = ['bpf', 'net_admin']\n[targets]\ncgroups = ['/a']"),
        ::testing::ElementsAre(StartsWith("6:1: warning: cgroups narrows nothing")));
    EXPECT_THAT(said("[targets]\ninterfaces = ['lo']\nfunctions = ['x']\nuprobes = ['/x:y']\nperf_events = ['a/b']\n"
                     "tracepoints = ['x']"),
                ::testing::SizeIs(5));
    EXPECT_THAT(
        said("dangerous = ['kernel_read']\n[allow]\nprogram_types = ['kprobe']\ncapabilities = ['bpf', 'perfmon']"),
        ::testing::ElementsAre(HasSubstr("kprobe programs can be attached to nothing")));
}

TEST(Lint, CommandsThatLeaveOutTheMainThing) {
    EXPECT_THAT(said("[allow]\nprogram_types = ['socket_filter']\nmap_types = ['hash']\ncommands = ['link_create']\n"
                     "capabilities = ['bpf']"),
                ::testing::ElementsAre(HasSubstr("commands leaves out map_create"),
                                       HasSubstr("commands leaves out prog_load")));
}

TEST(Lint, SessionsAndSubjects) {
    EXPECT_THAT(said("[limits]\ninstructions = 2000000"),
                ::testing::ElementsAre(HasSubstr("no kernel takes more than 1000000")));
    EXPECT_THAT(said("subject = []"),
                ::testing::ElementsAre(HasSubstr("an empty subject lets only root open this grant")));
    EXPECT_THAT(said("[allow]\nprogram_types = ['xdp']\ncapabilities = ['bpf', 'net_admin']\n[targets]\ninterfaces = "
                     "['lo']\n[session]\nhand_out = 'program'"),
                ::testing::ElementsAre(HasSubstr("targets.interfaces is held by nobody | hand_out = \"program\"")));
}

// With half of a grant unreadable, warnings would be about what is only missing because of that.
TEST(Lint, SaysOnlyDangersOfABrokenGrant) {
    EXPECT_THAT(said("[allow]\nprogram_types = ['xdq', 'kprobe']"),
                ::testing::ElementsAre(HasSubstr("\"xdq\" is no program type"), HasSubstr("needs dangerous")));
}

}  // namespace bpfwarden::grant
