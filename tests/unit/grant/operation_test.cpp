// SPDX-License-Identifier: Apache-2.0
#include "grant/operation.hpp"

#include <gmock/gmock.h>

#include "base/text.hpp"
#include "grants.hpp"

namespace bpfwarden::grant {

static std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    for (const auto word : split(text, ' '))
        if (!word.empty()) out.emplace_back(word);
    return out;
}

TEST(Operation, IsReadAndPrintedBack) {
    for (const char* text :
         {"map_create lpm_trie", "prog_load xdp", "btf_load",
          "prog_load cgroup_skb attach=cgroup_inet_egress helper=map_lookup_elem helper=loop kfunc=bpf_x "
          "feature=callbacks "
          "instructions=5000 sha256=ab signer=me function=f tracepoint=t",
          "attach xdp interface=eth0", "attach cgroup_inet_ingress program=cgroup_skb cgroup=/a interface=b",
          "attach trace_uprobe_multi uprobe=/bin/a:b", "perf_event_open tracepoint=sched/sched_switch",
          "perf_event_open function=do_x", "perf_event_open uprobe=/a:b", "perf_event_open event=software/cpu_clock",
          "command map_freeze", "helper probe_read_kernel", "kfunc bpf_task_acquire"}) {
        const auto operation = parse_operation(words(text));
        ASSERT_TRUE(operation) << text << ": " << operation.error().text("");
        EXPECT_EQ(describe(*operation), text);
    }
}

TEST(Operation, TakesOtherSpellings) {
    EXPECT_EQ(describe(*parse_operation(words("MAP_CREATE BPF_MAP_TYPE_HASH"))), "map_create hash");
    EXPECT_EQ(describe(*parse_operation(words("prog_test_run"))), "command prog_run");
    EXPECT_EQ(describe(*parse_operation(words("map_freeze"))), "command map_freeze");
}

struct Wrong {
    const char *text, *says;
};

TEST(Operation, NearMissesAreHelped) {
    for (const auto& [text, says] : {
             Wrong{"", "no operation is given"},
             Wrong{"create an lpm_trie map", "\"create\" is no operation"},
             Wrong{"map_crate hash", "did you mean map_create?"},
             Wrong{"map_create", "map_create needs a name after it"},
             Wrong{"map_create lpm_tree", "did you mean \"lpm_trie\"?"},
             Wrong{"map_create xdp", "\"xdp\" is a program type"},
             Wrong{"map_create hash x=1", "nothing follows it"},
             Wrong{"prog_load xdp hlper=loop", "did you mean helper=?"},
             Wrong{"prog_load xdp helper=", "has no value"},
             Wrong{"prog_load xdp helper=lop", "did you mean \"loop\"?"},
             Wrong{"prog_load xdp attach=nowhere", "\"nowhere\" is no attach type"},
             Wrong{"prog_load xdp instructions=many", "\"many\" is no number of instructions"},
             Wrong{"prog_load attach=xdp", "prog_load needs a name after it"},
             Wrong{"attach xdp eth0", "\"eth0\" cannot follow attach TYPE"},
             Wrong{"attach xdp interfac=eth0", "did you mean interface=?"},
             Wrong{"perf_event_open", "perf_event_open opens one event"},
             Wrong{"perf_event_open function=a function=b", "perf_event_open opens one event"},
             Wrong{"btf_load x", "cannot follow btf_load"},
             Wrong{"command nothing", "\"nothing\" is no command"},
             Wrong{"helper @base", "\"@base\" is no helper"},
         }) {
        const auto operation = parse_operation(words(text));
        ASSERT_FALSE(operation) << text;
        EXPECT_EQ(operation.error().code(), Code::usage);
        EXPECT_THAT(operation.error().text(""), ::testing::HasSubstr(says)) << text;
    }
}

}  // namespace bpfwarden::grant
