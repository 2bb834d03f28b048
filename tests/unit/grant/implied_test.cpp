// SPDX-License-Identifier: Apache-2.0
#include "grant/implied.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

static const Origin* find(const Resolved& grant, Dimension dimension, std::string_view value) {
    const auto at = grant.of(dimension).values.find(value);
    return at == grant.of(dimension).values.end() ? nullptr : &at->second;
}

TEST(Implied, WhatLibbpfNeedsToLoadAtAll) {
    const auto grant = allowing("program_types = ['xdp']");
    const auto* probe = find(grant, Dimension::program_types, "socket_filter");
    ASSERT_TRUE(probe);
    EXPECT_FALSE(probe->written);
    EXPECT_FALSE(probe->implied.empty());
    EXPECT_EQ(probe->at.line, 3U) << "the entry that implies it";
    const auto* array = find(grant, Dimension::map_types, "array");
    ASSERT_TRUE(array);
    EXPECT_FALSE(array->written);
    const auto* zero = find(grant, Dimension::attach_types, "cgroup_inet_ingress");
    ASSERT_TRUE(zero);
    EXPECT_THAT(zero->load_for, ::testing::UnorderedElementsAre("socket_filter", "xdp"));
    EXPECT_TRUE(zero->attach_for.empty()) << "nothing may be attached to a control group by this";
    EXPECT_FALSE(grant.of(Dimension::map_types).key_at);
}

TEST(Implied, NothingWithoutPrograms) {
    const auto grant = allowing("map_types = ['hash']");
    EXPECT_TRUE(grant.of(Dimension::program_types).values.empty());
    EXPECT_TRUE(grant.of(Dimension::attach_types).values.empty());
    EXPECT_EQ(find(grant, Dimension::map_types, "array"), nullptr);
}

TEST(Implied, TheOneAttachTypeThatATypeIsFor) {
    const auto xdp = allowing("program_types = ['xdp']");
    EXPECT_EQ(find(xdp, Dimension::attach_types, "xdp")->attach_for, std::vector<std::string>{"xdp"});
    EXPECT_EQ(find(xdp, Dimension::attach_types, "xdp")->load_for, std::vector<std::string>{"xdp"});
    EXPECT_EQ(find(xdp, Dimension::attach_types, "xdp_devmap"), nullptr);
    const auto tracepoint = allowing("program_types = ['tracepoint']");
    EXPECT_TRUE(find(tracepoint, Dimension::attach_types, "perf_event")->load_for.empty()) << "only how it is attached";
    // A choice is not made for anybody.
    const auto choice = allowing("program_types = ['cgroup_sock_addr', 'tracing', 'lsm', 'cgroup_skb']");
    for (const auto& [value, origin] : choice.of(Dimension::attach_types).values)
        EXPECT_TRUE(origin.attach_for.empty()) << value;
}

TEST(Implied, WhatIsWrittenStaysWritten) {
    const auto grant =
        allowing("program_types = ['xdp', 'socket_filter']\nmap_types = ['array']\nattach_types = ['xdp']");
    EXPECT_TRUE(find(grant, Dimension::program_types, "socket_filter")->written);
    EXPECT_TRUE(find(grant, Dimension::map_types, "array")->written);
    EXPECT_TRUE(find(grant, Dimension::attach_types, "xdp")->written);
}

TEST(Implied, PerfmonBringsItsVerifier) {
    for (const char* capability : {"perfmon", "sys_admin"}) {
        const auto grant = allowing("capabilities = ['" + std::string(capability) + "']");
        EXPECT_TRUE(find(grant, Dimension::verifier, "pointer_leaks"));
        EXPECT_EQ(find(grant, Dimension::verifier, "bounded_loops"), nullptr);
    }
    EXPECT_TRUE(allowing("capabilities = ['bpf']").of(Dimension::verifier).values.empty());
}

TEST(Commands, FollowFromTheTypes) {
    const auto maps = allowing("map_types = ['hash']");
    EXPECT_TRUE(find(maps, Dimension::commands, "map_create"));
    EXPECT_TRUE(find(maps, Dimension::commands, "btf_load"));
    EXPECT_FALSE(find(maps, Dimension::commands, "prog_load"));
    EXPECT_FALSE(find(maps, Dimension::commands, "link_create"));
    const auto programs = allowing("program_types = ['xdp']");
    EXPECT_TRUE(find(programs, Dimension::commands, "link_create"));
    EXPECT_TRUE(find(programs, Dimension::commands, "map_create")) << "for the implied array";
    EXPECT_FALSE(find(programs, Dimension::commands, "iter_create"));
    EXPECT_FALSE(find(programs, Dimension::commands, "btf_get_fd_by_id"));
    EXPECT_FALSE(find(programs, Dimension::commands, "enable_stats"));
    const auto iterator = allowing("program_types = ['tracing']\nattach_types = ['trace_iter']");
    EXPECT_TRUE(find(iterator, Dimension::commands, "iter_create"));
    EXPECT_TRUE(find(allowing("program_types = ['ext']"), Dimension::commands, "btf_get_fd_by_id"));
    EXPECT_TRUE(find(allowing("map_types = ['struct_ops']"), Dimension::commands, "prog_assoc_struct_ops"));
}

TEST(Commands, AListOnlyNarrows) {
    const auto grant = allowing("program_types = ['xdp']\ncommands = ['prog_load', 'link_create']");
    EXPECT_TRUE(find(grant, Dimension::commands, "prog_load")->written);
    EXPECT_TRUE(find(grant, Dimension::commands, "link_create")->written);
    EXPECT_EQ(find(grant, Dimension::commands, "map_create"), nullptr);
    EXPECT_EQ(find(grant, Dimension::commands, "prog_attach"), nullptr);
    EXPECT_TRUE(find(grant, Dimension::commands, "btf_load")) << "goes with prog_load";
    EXPECT_TRUE(find(grant, Dimension::commands, "map_lookup_elem")) << "nobody could hold it back";
    EXPECT_TRUE(grant.commands_narrowed);
    const auto none = allowing("program_types = ['xdp']\ncommands = []");
    EXPECT_EQ(find(none, Dimension::commands, "prog_load"), nullptr);
    const auto any = allowing("program_types = ['xdp']\ncommands = ['any']");
    EXPECT_TRUE(find(any, Dimension::commands, "link_create"));
    EXPECT_EQ(find(any, Dimension::commands, "enable_stats"), nullptr) << "any does not mean what is never given";
}

TEST(Commands, AListCannotAdd) {
    EXPECT_THAT(message("format = 1\n[allow]\nmap_types = ['hash']\ncapabilities = ['bpf']\ncommands = ['map_create', "
                        "'link_create']"),
                ::testing::StartsWith("5:27: warning: link_create does not follow from the types"));
}

}  // namespace bpfwarden::grant
