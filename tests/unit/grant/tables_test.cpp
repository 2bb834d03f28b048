// SPDX-License-Identifier: Apache-2.0
// The tables of facts, groups and keys against the kernel's names and against each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "grant/enforcement.hpp"
#include "grant/facts.hpp"
#include "grant/groups.hpp"
#include "grant/lookup.hpp"
#include "grant/schema.hpp"

namespace bpfwarden::grant {

using kernel::NameKind;
using kernel::Names;

TEST(Facts, EveryProgramTypeHasARow) {
    for (const auto& one : Names::known().all(NameKind::program_type))
        EXPECT_NE(program_facts(one.name), nullptr) << one.name;
    EXPECT_EQ(all_program_facts().size(), Names::known().all(NameKind::program_type).size());
}

TEST(Facts, EveryAttachTypeIsSomebodys) {
    for (const auto& one : Names::known().all(NameKind::attach_type))
        EXPECT_FALSE(program_types_of(one.name).empty()) << one.name;
    for (const auto& facts : all_program_facts()) {
        for (const auto type : facts.attach_types)
            EXPECT_TRUE(Names::known().value(NameKind::attach_type, type)) << type;
        if (!facts.natural.empty()) {
            EXPECT_TRUE(takes_attach_type(facts, facts.natural)) << facts.type;
        }
    }
}

TEST(Facts, EveryCommandHasAClass) {
    for (const auto& one : Names::known().all(NameKind::command)) {
        const auto* facts = command_facts(one.name);
        ASSERT_NE(facts, nullptr) << one.name;
        EXPECT_EQ(facts->kind == CommandClass::refused, !facts->why.empty()) << one.name;
        EXPECT_EQ(facts->kind == CommandClass::checked, facts->from != CommandFacts::Follows::nothing) << one.name;
    }
    EXPECT_EQ(all_command_facts().size(), Names::known().all(NameKind::command).size());
    EXPECT_EQ(command_facts("prog_from_the_future"), nullptr);
}

TEST(Facts, AttachTargets) {
    EXPECT_EQ(attaches_to("cgroup_skb"), AttachTo::cgroup);
    EXPECT_EQ(target_of(attaches_to("lsm_cgroup")), Target::cgroups);
    EXPECT_EQ(target_of(attaches_to("tcx_egress")), Target::interfaces);
    EXPECT_EQ(target_of(attaches_to("trace_raw_tp")), Target::tracepoints);
    EXPECT_EQ(target_of(attaches_to("trace_fentry")), Target::functions);
    EXPECT_EQ(target_of(attaches_to("trace_kprobe_multi")), Target::functions);
    EXPECT_EQ(target_of(attaches_to("trace_uprobe_multi")), Target::uprobes);
    EXPECT_EQ(target_of(attaches_to("perf_event")), std::nullopt);
    EXPECT_EQ(attaches_to("sk_lookup"), AttachTo::network);
    EXPECT_EQ(attaches_to("sk_skb_verdict"), AttachTo::other);
}

TEST(Facts, SocketMapsNeedNetAdmin) {
    EXPECT_EQ(map_capability("sockmap"), "net_admin");
    EXPECT_EQ(map_capability("hash"), "");
}

TEST(Groups, HoldRealNamesOnce) {
    std::set<std::pair<Dimension, std::string_view>> seen;
    for (const auto& group : builtin_groups()) {
        EXPECT_TRUE(seen.insert({group.dimension, group.name}).second) << group.name;
        EXPECT_FALSE(group.what.empty());
        std::set<std::string_view> members;
        for (const auto member : group.members) {
            EXPECT_EQ(look_up(group.dimension, member), member) << group.name;
            EXPECT_TRUE(members.insert(member).second) << group.name << " has " << member << " twice";
        }
        EXPECT_EQ(builtin_group(group.dimension, group.name), &group);
    }
    EXPECT_EQ(builtin_group(Dimension::helpers, "none"), nullptr);
}

// @base is called harmless: nothing of it may read memory, write it, or act outside the program's own maps.
TEST(Groups, BaseHelpersAreHarmless) {
    const auto* base = builtin_group(Dimension::helpers, "base");
    ASSERT_NE(base, nullptr);
    for (const std::string_view bad :
         {"probe_read", "probe_read_kernel", "probe_write_user", "override_return", "send_signal", "get_current_task",
          "trace_printk", "redirect", "sys_bpf", "skb_store_bytes", "setsockopt", "timer_init"})
        EXPECT_EQ(std::ranges::find(base->members, bad), base->members.end()) << bad;
    const auto* read = builtin_group(Dimension::helpers, "tracing_read");
    for (const auto bad : builtin_group(Dimension::helpers, "tracing_write")->members)
        EXPECT_EQ(std::ranges::find(read->members, bad), read->members.end()) << bad;
}

TEST(Schema, KeysAreFoundByTable) {
    EXPECT_EQ(key_of(Dimension::program_types), "program_types");
    EXPECT_EQ(key_of(Dimension::verifier), "verifier");
    EXPECT_EQ(key_of(Target::perf_events), "perf_events");
    EXPECT_EQ(key_of(Limit::loads_per_minute), "loads_per_minute");
    EXPECT_EQ(key_of(SubjectKey::exe_sha256), "exe_sha256");
    EXPECT_EQ(plural(noun_of(Dimension::capabilities)), "capabilities");
    const auto top = keys_in("");
    for (const auto table : all_tables()) EXPECT_NE(std::ranges::find(top, table), top.end()) << table;
}

// No key may be left without an answer to "who holds it?".
TEST(Schema, EveryKeyThatLimitsHasARowInTheEnforcementTable) {
    const auto enforced = enforced_keys();
    for (const auto& key : all_keys()) {
        if (key.table.empty()) continue;
        const auto name = std::string(key.table) + "." + std::string(key.name);
        EXPECT_NE(std::ranges::find(enforced, name), enforced.end()) << name;
    }
}

TEST(Lookup, TakesTheKernelsOtherSpellings) {
    EXPECT_EQ(look_up(Dimension::commands, "prog_test_run"), "prog_run");
    EXPECT_EQ(look_up(Dimension::program_types, "BPF_PROG_TYPE_XDP"), "xdp");
    EXPECT_EQ(look_up(Dimension::capabilities, "CAP_NET_ADMIN"), "net_admin");
    EXPECT_EQ(look_up(Dimension::capabilities, "sys_ptrace"), std::nullopt);
    EXPECT_EQ(look_up(Dimension::kfuncs, "bpf_task_*"), "bpf_task_*");
    EXPECT_EQ(look_up(Dimension::kfuncs, "a b"), std::nullopt);
    EXPECT_EQ(look_up(Dimension::map_types, "unspec"), std::nullopt);
}

}  // namespace bpfwarden::grant
