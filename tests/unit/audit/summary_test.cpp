// SPDX-License-Identifier: Apache-2.0
#include "audit/summary.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "unit/audit/events.hpp"

namespace bpfwarden::audit {

TEST(AuditSummary, SaysWhatHappened) {
    EXPECT_EQ(summary(operation(0)),
              "allowed map_create hash by uid 1001 pid 42 /usr/bin/agent [grant agent, session 7]");
    auto event = operation(0, false);
    event.set("sender.uid", 5).set("sender.pid", 99).set("program.name", "p").set("program.sha256", "0123456789abcdef");
    EXPECT_EQ(description(event.set("target", "eth0").set("reason", "not in the list")),
              "map_create lpm_trie program p sha256:0123456789ab on eth0 by uid 5 pid 99: EPERM, allow.map_types "
              "(agent.toml:9:17), not in the list");
    Event gap{.kind = "gap", .fields = {}};
    EXPECT_EQ(summary(gap.set("lost", 1).set("where", "file").set("reason", "full")), "gap 1 event lost (file): full");
    EXPECT_EQ(summary(Event{.kind = "session_open", .fields = {}}.set("session", "7").set("revision", 2)),
              "session_open revision=2 [session 7]");
    EXPECT_EQ(summary(Event{.kind = "daemon_start", .fields = {}}), "daemon_start");
    EXPECT_EQ(summary(Event{.kind = "tamper", .fields = {}}
                          .set("verdict", "denied")
                          .set("operation", "bpf")
                          .set("target.object", "map:7")
                          .set("actor.exe", "/usr/sbin/bpftool")
                          .set("actor.pid", 42)
                          .set("command", "map_get_fd_by_id")),
              "denied /usr/sbin/bpftool(42) → bpf map:7 map_get_fd_by_id");
}

TEST(AuditSummary, IsSafeToPrint) {
    std::mt19937 random(14);
    for (int i = 0; i < 1000; ++i) {
        auto event = random_event(random);
        for (const char* name : {"operation", "verdict", "grant", "session", "key", "line", "reason", "target"})
            if (random() % 2 == 0) event.set(name, random_text(random, 10));
        const auto text = summary(event);
        ASSERT_EQ(printable(text), text);
    }
}

}  // namespace bpfwarden::audit
